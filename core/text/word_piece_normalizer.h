// The plain text and the words that WordPiece starts from: BertNormalizer and BertPreTokenizer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace edgellm {

struct BertNormalizer {
  bool clean_text = true;        // drop control characters, U+0000 and U+FFFD; every white space becomes " "
  bool space_ideographs = true;  // a space on both sides of each Chinese character
  bool strip_accents = true;     // canonical decomposition (NFD), nonspacing marks dropped
  bool lower_case = true;
};

// The result is valid UTF-8: bytes of `text` that are none count as U+FFFD.
std::string normalize(std::string_view text, const BertNormalizer& normalizer);

// Views of the words of a normalized text: cut at white space, each punctuation character a word of its own.
std::vector<std::string_view> bert_words(std::string_view normalized);

bool is_white_space(int32_t code_point);
// A letter, mark, digit or connector, as \w of a regular expression.
bool is_word_character(int32_t code_point);

// Takes the first character off `text`, which must not be empty; U+FFFD for a byte that begins none.
int32_t next_code_point(std::string_view& text);

}  // namespace edgellm
