// Classes of characters are those of the installed utf8proc. The program of reference has them as of Unicode
// 8, so characters that became marks or punctuation later may differ from it; they are in no vocabulary of
// its time.
#include "core/text/word_piece_normalizer.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utf8proc.h>

namespace edgellm {
namespace {

constexpr int32_t kReplacement = 0xFFFD;
constexpr int32_t kCapitalIWithDot = 0x130, kDotAbove = 0x307;

bool is_control(int32_t code_point) {
  if (code_point == '\t' || code_point == '\n' || code_point == '\r') return false;
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
      return true;
    default:
      return false;  // unassigned ones stay, and end as [UNK]
  }
}

// The CJK Unified Ideographs blocks that BERT names; other scripts of East Asia are written with spaces or as
// alphabets.
bool is_ideograph(int32_t code_point) {
  constexpr std::array<std::array<int32_t, 2>, 8> kBlocks = {{{0x4E00, 0x9FFF},
                                                              {0x3400, 0x4DBF},
                                                              {0x20000, 0x2A6DF},
                                                              {0x2A700, 0x2B73F},
                                                              {0x2B740, 0x2B81F},
                                                              {0x2B820, 0x2CEAF},
                                                              {0xF900, 0xFAFF},
                                                              {0x2F800, 0x2FA1F}}};
  return std::any_of(kBlocks.begin(), kBlocks.end(),
                     [&](const auto& block) { return code_point >= block[0] && code_point <= block[1]; });
}

// ASCII's symbols count too: "$", "+", "^" and the like are no punctuation to Unicode.
bool is_punctuation(int32_t code_point) {
  if (code_point < 0x80)
    return (code_point >= '!' && code_point <= '/') || (code_point >= ':' && code_point <= '@') ||
           (code_point >= '[' && code_point <= '`') || (code_point >= '{' && code_point <= '~');
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return true;
    default:
      return false;
  }
}

using CodePoints = std::vector<int32_t>;

int32_t combining_class(int32_t code_point) {
  return utf8proc_get_property(code_point)->combining_class;
}

CodePoints decomposed(const CodePoints& text) {
  CodePoints result;
  result.reserve(text.size());
  std::array<int32_t, 32> parts;  // the longest canonical decomposition has 4
  for (int32_t code_point : text) {
    if (code_point < 0x80) {
      result.push_back(code_point);
      continue;
    }
    int boundary = 0;
    auto n_parts =
        utf8proc_decompose_char(code_point, parts.data(), utf8proc_ssize_t(parts.size()),
                                utf8proc_option_t(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
    if (n_parts < 0 || size_t(n_parts) > parts.size())
      result.push_back(code_point);
    else
      result.insert(result.end(), parts.begin(), parts.begin() + n_parts);
  }
  // Canonical order: marks that follow one another are sorted by their class.
  for (auto first = result.begin(); first != result.end();) {
    if (combining_class(*first) == 0) {
      ++first;
      continue;
    }
    auto last = std::find_if(first, result.end(), [](int32_t c) { return combining_class(c) == 0; });
    std::stable_sort(first, last,
                     [](int32_t a, int32_t b) { return combining_class(a) < combining_class(b); });
    first = last;
  }
  return result;
}

void append_utf8(std::string& text, int32_t code_point) {
  std::array<utf8proc_uint8_t, 4> bytes;
  auto n_bytes = utf8proc_encode_char(code_point, bytes.data());
  text.append(reinterpret_cast<const char*>(bytes.data()), size_t(n_bytes));
}

}  // namespace

bool is_white_space(int32_t code_point) {
  return (code_point >= 0x9 && code_point <= 0xD) || code_point == 0x20 || code_point == 0x85 ||
         code_point == 0xA0 || code_point == 0x1680 || (code_point >= 0x2000 && code_point <= 0x200A) ||
         code_point == 0x2028 || code_point == 0x2029 || code_point == 0x202F || code_point == 0x205F ||
         code_point == 0x3000;
}

bool is_word_character(int32_t code_point) {
  constexpr int32_t kNonJoiner = 0x200C, kJoiner = 0x200D;
  if (code_point == kNonJoiner || code_point == kJoiner) return true;
  // Letters in circles and squares: symbols by category, yet alphabetic.
  if ((code_point >= 0x24B6 && code_point <= 0x24E9) || (code_point >= 0x1F130 && code_point <= 0x1F149) ||
      (code_point >= 0x1F150 && code_point <= 0x1F169) || (code_point >= 0x1F170 && code_point <= 0x1F189))
    return true;
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

int32_t next_code_point(std::string_view& text) {
  int32_t code_point = -1;
  auto n_bytes = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                  utf8proc_ssize_t(text.size()), &code_point);
  text.remove_prefix(n_bytes > 0 ? size_t(n_bytes) : 1);
  return n_bytes > 0 ? code_point : kReplacement;
}

std::string normalize(std::string_view text, const BertNormalizer& normalizer) {
  CodePoints points;
  points.reserve(text.size());
  while (!text.empty()) {
    int32_t code_point = next_code_point(text);
    if (normalizer.clean_text) {
      if (code_point == 0 || code_point == kReplacement || is_control(code_point)) continue;
      if (is_white_space(code_point)) code_point = ' ';
    }
    bool spaced = normalizer.space_ideographs && is_ideograph(code_point);
    if (spaced) points.push_back(' ');
    points.push_back(code_point);
    if (spaced) points.push_back(' ');
  }
  if (normalizer.strip_accents) {
    points = decomposed(points);
    std::erase_if(points, [](int32_t c) { return utf8proc_category(c) == UTF8PROC_CATEGORY_MN; });
  }
  std::string result;
  result.reserve(points.size());
  for (int32_t code_point : points) {
    if (!normalizer.lower_case) {
      append_utf8(result, code_point);
    } else if (code_point == kCapitalIWithDot) {  // the one letter whose small form has two
      result += 'i';
      append_utf8(result, kDotAbove);
    } else {
      append_utf8(result, utf8proc_tolower(code_point));
    }
  }
  return result;
}

std::vector<std::string_view> bert_words(std::string_view normalized) {
  std::vector<std::string_view> words;
  const char* word = normalized.data();  // begin of the word being read
  auto finish_word = [&](const char* end) {
    if (end != word) words.emplace_back(word, size_t(end - word));
  };
  for (std::string_view rest = normalized; !rest.empty();) {
    const char* at = rest.data();
    int32_t code_point = next_code_point(rest);
    bool punctuation = is_punctuation(code_point);
    if (!punctuation && !is_white_space(code_point)) continue;
    finish_word(at);
    if (punctuation) words.emplace_back(at, size_t(rest.data() - at));
    word = rest.data();
  }
  finish_word(normalized.data() + normalized.size());
  return words;
}

}  // namespace edgellm
