#include "evaluate/rouge_tokens.h"

#include "evaluate/porter_stemmer.h"

namespace edgellm {
namespace {

// The only characters beyond ASCII that Unicode lowers into ASCII letters.
constexpr std::string_view capital_i_with_dot = "\xC4\xB0";  // U+0130, lowered: i and a combining dot
constexpr std::string_view kelvin_sign = "\xE2\x84\xAA";     // U+212A, lowered: k

constexpr size_t shortest_stemmed = 4;

}  // namespace

std::vector<std::string> rouge_tokens(std::string_view text, bool stem) {
  std::vector<std::string> tokens;
  std::string word;
  auto end_word = [&] {
    if (word.empty()) return;
    tokens.push_back(stem && word.size() >= shortest_stemmed ? porter_stem(word) : word);
    word.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      word += c;
    } else if (c >= 'A' && c <= 'Z') {
      word += char(c - 'A' + 'a');
    } else if (text.substr(i).starts_with(kelvin_sign)) {
      word += 'k';
      i += kelvin_sign.size() - 1;
    } else {
      if (text.substr(i).starts_with(capital_i_with_dot)) word += 'i';
      end_word();
    }
  }
  end_word();
  return tokens;
}

}  // namespace edgellm
