#include "core/text/jinja_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <utf8proc.h>

namespace edgellm::jinja {
namespace {

// Bytes of the code point at the start of a non-empty text, and its number (-1: no UTF-8, one byte).
size_t next_code_point(std::string_view text, int32_t& code_point) {
  code_point = static_cast<unsigned char>(text[0]);
  if (code_point < 0x80) return 1;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const utf8proc_ssize_t n_bytes =
      utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size()), &code_point);
  if (n_bytes > 0) return static_cast<size_t>(n_bytes);
  code_point = -1;
  return 1;
}

template <class Map>
std::string map_code_points(std::string_view text, Map map) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    int32_t code_point = 0;
    const size_t n_bytes = next_code_point(text, code_point);
    if (code_point < 0) {
      result += text[0];
    } else {
      result += encode_utf8(static_cast<uint32_t>(map(code_point)));
    }
    text.remove_prefix(n_bytes);
  }
  return result;
}

int32_t to_upper(int32_t code_point) {
  return utf8proc_toupper(code_point);
}
int32_t to_lower(int32_t code_point) {
  return utf8proc_tolower(code_point);
}

utf8proc_category_t category(std::string_view code_point) {
  const int32_t number = first_code_point(code_point);
  return number < 0 ? UTF8PROC_CATEGORY_CN : utf8proc_category(number);
}

bool printable(int32_t code_point) {
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return code_point == ' ';
    default:
      return true;
  }
}

template <class StartsWord>
std::string title(std::string_view text, StartsWord starts_word) {
  bool at_start = true;
  return map_code_points(text, [&](int32_t code_point) {
    const int32_t mapped = at_start ? to_upper(code_point) : to_lower(code_point);
    at_start = starts_word(encode_utf8(static_cast<uint32_t>(code_point)));
    return mapped;
  });
}

}  // namespace

std::vector<std::string_view> code_points(std::string_view text) {
  std::vector<std::string_view> result;
  while (!text.empty()) {
    int32_t code_point = 0;
    const size_t n_bytes = next_code_point(text, code_point);
    result.push_back(text.substr(0, n_bytes));
    text.remove_prefix(n_bytes);
  }
  return result;
}

size_t n_code_points(std::string_view text) {
  size_t count = 0;
  while (!text.empty()) {
    int32_t code_point = 0;
    text.remove_prefix(next_code_point(text, code_point));
    ++count;
  }
  return count;
}

int32_t first_code_point(std::string_view text) {
  int32_t code_point = 0;
  next_code_point(text, code_point);
  return code_point;
}

std::string encode_utf8(uint32_t code_point) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const utf8proc_ssize_t n_bytes = utf8proc_encode_char(static_cast<int32_t>(code_point), bytes.data());
  return std::string(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(n_bytes));
}

bool is_space(std::string_view code_point) {
  const int32_t number = first_code_point(code_point);
  if ((number >= 0x09 && number <= 0x0d) || (number >= 0x1c && number <= 0x20)) return true;
  if (number < 0x80) return false;
  switch (utf8proc_category(number)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:
      return number == 0x85;
  }
}

bool is_letter(std::string_view code_point) {
  switch (category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return true;
    default:
      return false;
  }
}

bool is_digit(std::string_view code_point) {
  return category(code_point) == UTF8PROC_CATEGORY_ND;
}
bool is_upper(std::string_view code_point) {
  return category(code_point) == UTF8PROC_CATEGORY_LU;
}
bool is_lower(std::string_view code_point) {
  return category(code_point) == UTF8PROC_CATEGORY_LL;
}

std::string_view strip_left(std::string_view text, std::string_view characters) {
  while (!text.empty()) {
    int32_t number = 0;
    const std::string_view first = text.substr(0, next_code_point(text, number));
    if (characters.empty() ? !is_space(first) : find_text(characters, first) == std::string_view::npos) break;
    text.remove_prefix(first.size());
  }
  return text;
}

std::string_view strip_right(std::string_view text, std::string_view characters) {
  while (!text.empty()) {
    // Back to the first byte of the last code point, if that is one.
    size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && (static_cast<unsigned char>(text[start]) & 0xc0) == 0x80)
      --start;
    int32_t number = 0;
    if (next_code_point(text.substr(start), number) != text.size() - start) start = text.size() - 1;
    const std::string_view last = text.substr(start);
    if (characters.empty() ? !is_space(last) : find_text(characters, last) == std::string_view::npos) break;
    text.remove_suffix(last.size());
  }
  return text;
}

std::string upper(std::string_view text) {
  return map_code_points(text, to_upper);
}
std::string lower(std::string_view text) {
  return map_code_points(text, to_lower);
}

std::string capitalize(std::string_view text) {
  return title(text, [](const std::string&) { return false; });
}

std::string title_by_letters(std::string_view text) {
  return title(text, [](const std::string& character) { return !is_letter(character); });
}

std::string title_by_spaces(std::string_view text) {
  return title(text, [](const std::string& character) {
    return is_space(character) || std::string_view("-({[<").find(character) != std::string_view::npos;
  });
}

std::vector<std::string_view> lines_of(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t i = 0; i < text.size();) {
    int32_t code_point = 0;
    size_t n_bytes = next_code_point(text.substr(i), code_point);
    const bool ends = (code_point >= 0x0a && code_point <= 0x0d) ||
                      (code_point >= 0x1c && code_point <= 0x1e) || code_point == 0x85 ||
                      code_point == 0x2028 || code_point == 0x2029;
    if (ends && code_point == '\r' && i + 1 < text.size() && text[i + 1] == '\n') n_bytes = 2;
    if (ends) {
      lines.push_back(text.substr(start, (keep_ends ? i + n_bytes : i) - start));
      start = i + n_bytes;
    }
    i += n_bytes;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.empty()) return from;
  // std::string_view::find takes quadratic time on hostile texts; memmem does not.
  const void* found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found ? static_cast<size_t>(static_cast<const char*>(found) - text.data()) : std::string_view::npos;
}

std::string quoted(std::string_view text) {
  const bool use_double = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = use_double ? '"' : '\'';
  std::string result(1, quote);
  while (!text.empty()) {
    int32_t code_point = 0;
    const size_t n_bytes = next_code_point(text, code_point);
    if (code_point == quote || code_point == '\\') {
      result += '\\';
      result += static_cast<char>(code_point);
    } else if (code_point == '\n') {
      result += "\\n";
    } else if (code_point == '\r') {
      result += "\\r";
    } else if (code_point == '\t') {
      result += "\\t";
    } else if (code_point < 0) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else if (printable(code_point)) {
      result += text.substr(0, n_bytes);
    } else {
      result += code_point < 0x100     ? fmt::format("\\x{:02x}", code_point)
                : code_point < 0x10000 ? fmt::format("\\u{:04x}", code_point)
                                       : fmt::format("\\U{:08x}", code_point);
    }
    text.remove_prefix(n_bytes);
  }
  return result + quote;
}

std::string python_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer{};
  const double magnitude = std::fabs(value);
  // Python writes the shortest digits; an exponent below 1e-4 and from 1e16.
  const bool scientific = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 scientific ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(buffer.data(), end.ptr);
  if (!scientific && text.find('.') == text.npos) text += ".0";
  return text;
}

}  // namespace edgellm::jinja
