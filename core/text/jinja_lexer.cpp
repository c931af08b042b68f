#include "core/text/jinja_lexer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>

#include "core/text/jinja_text.h"

namespace edgellm::jinja {

std::string normalize_line_ends(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      result += source[i];
    } else if (i + 1 >= source.size() || source[i + 1] != '\n') {
      result += '\n';
    }
  }
  if (!result.empty() && result.back() == '\n') result.pop_back();
  return result;
}

Error error_at(std::string_view source, uint32_t offset, std::string_view message) {
  const std::string_view before = source.substr(0, std::min<size_t>(offset, source.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t start = before.rfind('\n') == before.npos ? 0 : before.rfind('\n') + 1;
  return Error{fmt::format("chat template: {} at line {}, column {}", message, line,
                           n_code_points(before.substr(start)) + 1)};
}

namespace {

constexpr std::array<std::string_view, 6> kTwoLetterSymbols = {"//", "**", "==", "!=", "<=", ">="};
constexpr std::string_view kOneLetterSymbols = "+-/*%~[](){}<>=.:|,;";

bool starts_name(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80);
}
bool is_decimal(char c) {
  return c >= '0' && c <= '9';
}
bool continues_name(char c) {
  return starts_name(c) || is_decimal(c);
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  Result<std::vector<Token>> run() {
    while (position_ < source_.size()) {
      EDGELLM_RETURN_IF_ERROR(text_and_tag());
    }
    push(TokenKind::end, "", source_.size());
    return std::move(tokens_);
  }

 private:
  Error fail(size_t offset, std::string_view message) const {
    return error_at(source_, static_cast<uint32_t>(offset), message);
  }
  bool at(std::string_view text, size_t offset) const {
    return source_.substr(std::min(offset, source_.size())).starts_with(text);
  }
  void push(TokenKind kind, std::string text, size_t offset) {
    tokens_.push_back({kind, std::move(text), static_cast<uint32_t>(offset)});
  }

  size_t skip_space(size_t offset) const {
    return source_.size() - strip_left(source_.substr(std::min(offset, source_.size()))).size();
  }

  size_t next_tag(size_t from) const {
    for (size_t i = source_.find('{', from); i != source_.npos; i = source_.find('{', i + 1)) {
      if (i + 1 < source_.size() && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#'))
        return i;
    }
    return source_.size();
  }

  // The sign that may follow the opening of a tag, 0 for none.
  char sign_at(size_t offset) const {
    return offset < source_.size() && (source_[offset] == '-' || source_[offset] == '+') ? source_[offset]
                                                                                         : 0;
  }

  // Text before a tag without what the tag strips from it. lstrip_blocks takes the blanks of the line a tag
  // stands on.
  std::string_view text_before(std::string_view text, char sign, bool is_output) const {
    if (sign == '-') return strip_right(text);
    if (sign == '+' || is_output) return text;
    const size_t line_break = text.rfind('\n');
    if (line_break == text.npos && !line_starting_) return text;
    const size_t line_start = line_break == text.npos ? 0 : line_break + 1;
    return strip_left(text.substr(line_start)).empty() ? text.substr(0, line_start) : text;
  }

  // The end of a tag at `offset`: -%} takes the white space after it, %} one line break (trim_blocks), +%}
  // nothing. Gives the offset after it, or 0 when there is none here.
  size_t end_of_tag(size_t offset, std::string_view closing, bool trims) const {
    const char sign = sign_at(offset);
    if (sign && at(closing, offset + 1) && (sign == '-' || trims)) {
      const size_t after = offset + 1 + closing.size();
      return sign == '-' ? skip_space(after) : after;
    }
    if (!at(closing, offset)) return 0;
    const size_t after = offset + closing.size();
    return trims && at("\n", after) ? after + 1 : after;
  }

  void leave_tag(size_t after) {
    line_starting_ = after > 0 && source_[after - 1] == '\n';
    position_ = after;
  }

  Status text_and_tag() {
    const size_t tag = next_tag(position_);
    const std::string_view text = source_.substr(position_, tag - position_);
    if (tag == source_.size()) {
      push(TokenKind::data, std::string(text), position_);
      position_ = tag;
      return {};
    }
    const char sign = sign_at(tag + 2);
    const bool is_output = source_[tag + 1] == '{';
    const std::string_view kept = text_before(text, sign, is_output);
    if (!kept.empty()) push(TokenKind::data, std::string(kept), position_);
    const size_t inside = tag + 2 + (sign ? 1 : 0);
    line_starting_ = false;
    if (source_[tag + 1] == '#') return comment(tag, inside);
    if (source_[tag + 1] == '%') {
      if (const size_t after = raw_tag(inside, "raw", false)) return raw(tag, after);
    }
    push(is_output ? TokenKind::output_begin : TokenKind::block_begin, "", tag);
    position_ = inside;
    return tag_content(tag, is_output);
  }

  Status comment(size_t tag, size_t inside) {
    for (size_t i = source_.find("#}", inside); i != source_.npos; i = source_.find("#}", i + 1)) {
      const size_t start = i > inside && sign_at(i - 1) ? i - 1 : i;
      leave_tag(end_of_tag(start, "#}", true));
      return {};
    }
    return fail(tag, "missing end of comment tag");
  }

  // The offset after `word %}` with optional white space, 0 when something else stands here.
  size_t raw_tag(size_t inside, std::string_view word, bool trims) const {
    const size_t start = skip_space(inside);
    if (!at(word, start)) return 0;
    const size_t closing = skip_space(start + word.size());
    if (!trims && sign_at(closing) == '+') return 0;
    return end_of_tag(closing, "%}", trims);
  }

  Status raw(size_t tag, size_t after) {
    for (size_t i = source_.find("{%", after); i != source_.npos; i = source_.find("{%", i + 1)) {
      const char sign = sign_at(i + 2);
      const size_t end = raw_tag(i + 2 + (sign ? 1 : 0), "endraw", true);
      if (!end) continue;
      line_starting_ = source_[after - 1] == '\n';
      push(TokenKind::data, std::string(text_before(source_.substr(after, i - after), sign, false)), after);
      leave_tag(end);
      return {};
    }
    return fail(tag, "missing end of raw block");
  }

  Status tag_content(size_t tag, bool is_output) {
    const std::string_view closing = is_output ? "}}" : "%}";
    std::string open;  // brackets not yet closed
    while (true) {
      position_ = skip_space(position_);
      if (position_ >= source_.size())
        return fail(tag, fmt::format("no '{}' ends the tag that begins", closing));
      if (open.empty()) {
        if (const size_t after = end_of_tag(position_, closing, !is_output)) {
          push(is_output ? TokenKind::output_end : TokenKind::block_end, "", position_);
          leave_tag(after);
          return {};
        }
      }
      const char c = source_[position_];
      if (is_decimal(c)) {
        number();
      } else if (starts_name(c)) {
        const size_t start = position_;
        while (position_ < source_.size() && continues_name(source_[position_])) ++position_;
        push(TokenKind::name, std::string(source_.substr(start, position_ - start)), start);
      } else if (c == '"' || c == '\'') {
        EDGELLM_RETURN_IF_ERROR(string());
      } else {
        EDGELLM_RETURN_IF_ERROR(symbol(open));
      }
    }
  }

  void number() {
    const size_t start = position_;
    const auto digits = [&](size_t from) {
      while (from < source_.size() &&
             (is_decimal(source_[from]) ||
              (source_[from] == '_' && from + 1 < source_.size() && is_decimal(source_[from + 1])))) {
        ++from;
      }
      return from;
    };
    const char base = start + 1 < source_.size() && source_[start] == '0' ? source_[start + 1] : '0';
    bool is_real = false;
    if (std::string_view("xXoObB").find(base) != std::string_view::npos) {
      position_ += 2;
      while (position_ < source_.size() &&
             (std::isxdigit(static_cast<unsigned char>(source_[position_])) || source_[position_] == '_')) {
        ++position_;
      }
    } else {
      position_ = digits(start);
      // In a.0.1 the digits after a point are subscripts.
      const bool after_point = start > 0 && source_[start - 1] == '.';
      if (!after_point && at(".", position_) && position_ + 1 < source_.size() &&
          is_decimal(source_[position_ + 1])) {
        is_real = true;
        position_ = digits(position_ + 1);
      }
      if (!after_point && (at("e", position_) || at("E", position_))) {
        const size_t exponent = position_ + 1 + (sign_at(position_ + 1) ? 1 : 0);
        if (exponent < source_.size() && is_decimal(source_[exponent])) {
          is_real = true;
          position_ = digits(exponent);
        }
      }
    }
    std::string text(source_.substr(start, position_ - start));
    std::erase(text, '_');
    push(is_real ? TokenKind::real : TokenKind::integer, std::move(text), start);
  }

  Status string() {
    const size_t start = position_;
    const char quote = source_[position_++];
    std::string value;
    while (true) {
      if (position_ >= source_.size()) return fail(start, "no end of the text that begins");
      const char c = source_[position_++];
      if (c == quote) break;
      if (c != '\\') {
        value += c;
        continue;
      }
      if (position_ >= source_.size()) return fail(start, "no end of the text that begins");
      EDGELLM_RETURN_IF_ERROR(escape(value));
    }
    push(TokenKind::string, std::move(value), start);
    return {};
  }

  // What stands after a backslash, by Python's rules; one it does not know stays as it is written.
  Status escape(std::string& value) {
    static constexpr std::string_view kLetters = "ntr\\'\"abfv";
    static constexpr std::string_view kMeanings = "\n\t\r\\'\"\a\b\f\v";
    const size_t start = position_ - 1;
    const char c = source_[position_++];
    if (const size_t known = kLetters.find(c); known != kLetters.npos) {
      value += kMeanings[known];
    } else if (c == 'x') {
      return code_point(value, start, 2, 16);
    } else if (c == 'u') {
      return code_point(value, start, 4, 16);
    } else if (c == 'U') {
      return code_point(value, start, 8, 16);
    } else if (c >= '0' && c <= '7') {
      --position_;
      size_t n_digits = 1;
      while (n_digits < 3 && position_ + n_digits < source_.size() && source_[position_ + n_digits] >= '0' &&
             source_[position_ + n_digits] <= '7') {
        ++n_digits;
      }
      return code_point(value, start, n_digits, 8);
    } else if (c == 'N') {
      return fail(start, "unknown escape \\N");
    } else if (c != '\n') {
      value += '\\';
      value += c;
    }
    return {};
  }

  Status code_point(std::string& value, size_t start, size_t n_digits, uint32_t base) {
    uint64_t number = 0;
    for (size_t i = 0; i < n_digits; ++i, ++position_) {
      const char digit = position_ < source_.size() ? source_[position_] : ' ';
      if (!std::isxdigit(static_cast<unsigned char>(digit)))
        return fail(start, "an escape with too few digits");
      const int lower = std::tolower(static_cast<unsigned char>(digit));
      number = number * base + static_cast<uint32_t>(lower >= 'a' ? lower - 'a' + 10 : lower - '0');
    }
    if (number > 0x10ffff || (number >= 0xd800 && number < 0xe000))
      return fail(start, "an escape that is no character");
    value += encode_utf8(static_cast<uint32_t>(number));
    return {};
  }

  Status symbol(std::string& open) {
    const size_t start = position_;
    for (std::string_view two : kTwoLetterSymbols) {
      if (at(two, start)) {
        push(TokenKind::symbol, std::string(two), start);
        position_ += 2;
        return {};
      }
    }
    const char c = source_[start];
    if (kOneLetterSymbols.find(c) == kOneLetterSymbols.npos) {
      return fail(start, fmt::format("unexpected character {}", quoted(source_.substr(start, 1))));
    }
    if (c == '(' || c == '[' || c == '{') open += c;
    if (c == ')' || c == ']' || c == '}') {
      const char wanted = c == ')' ? '(' : c == ']' ? '[' : '{';
      if (open.empty() || open.back() != wanted) return fail(start, fmt::format("unexpected '{}'", c));
      open.pop_back();
    }
    push(TokenKind::symbol, std::string(1, c), start);
    ++position_;
    return {};
  }

  std::string_view source_;
  size_t position_ = 0;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view normalized) {
  return Lexer(normalized).run();
}

}  // namespace edgellm::jinja
