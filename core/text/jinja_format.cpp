// Python's two ways of formatting texts, as far as templates use them.
#include <charconv>
#include <cmath>
#include <fmt/format.h>

#include "core/text/jinja_library.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"

namespace edgellm::jinja {
namespace {

constexpr int kMostWidth = 1000;

struct Conversion {
  bool left = false, zero = false, plus = false, space = false;
  int width = 0, precision = -1;
  char letter = 0;
};

int read_number(std::string_view text, size_t& position) {
  int number = 0;
  while (position < text.size() && text[position] >= '0' && text[position] <= '9') {
    number = std::min(number * 10 + (text[position++] - '0'), kMostWidth + 1);
  }
  return number;
}

Result<Conversion> read_conversion(std::string_view text, size_t& position) {
  Conversion result;
  for (; position < text.size(); ++position) {
    const char c = text[position];
    if (c == '-')
      result.left = true;
    else if (c == '0')
      result.zero = true;
    else if (c == '+')
      result.plus = true;
    else if (c == ' ')
      result.space = true;
    else
      break;
  }
  result.width = read_number(text, position);
  if (position < text.size() && text[position] == '.') result.precision = read_number(text, ++position);
  if (position >= text.size()) return Error{"incomplete format"};
  result.letter = text[position++];
  if (result.width > kMostWidth || result.precision > kMostWidth)
    return Error{"a format with too large a width"};
  return result;
}

Result<std::string> converted(Environment& environment, const Conversion& conversion, const Value& value) {
  const char letter = conversion.letter;
  if (letter == 's' || letter == 'r') {
    EDGELLM_ASSIGN_OR_RETURN(auto text,
                             letter == 's' ? to_text(environment, value) : to_repr(environment, value));
    if (conversion.precision < 0) return text;
    Slice cut;
    cut.stop = conversion.precision;
    EDGELLM_ASSIGN_OR_RETURN(const Value shortened, slice(environment, Value::string(std::move(text)), cut));
    return shortened.as_string();
  }
  if (!value.is_number())
    return Error{fmt::format("%{} format: a number is required, not {}", letter, type_name(value))};
  std::string digits;
  bool negative = false;
  if (letter == 'd' || letter == 'i' || letter == 'x' || letter == 'o') {
    if (value.is(Kind::real) && !(std::fabs(value.as_real()) < 9e18))
      return Error{"a number too large for an integer format"};
    const int64_t number = value.is(Kind::real) ? static_cast<int64_t>(value.as_real()) : value.as_integer();
    negative = number < 0;
    const uint64_t magnitude = negative ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
    digits = letter == 'x'   ? fmt::format("{:x}", magnitude)
             : letter == 'o' ? fmt::format("{:o}", magnitude)
                             : fmt::format("{}", magnitude);
  } else if (letter == 'f' || letter == 'e' || letter == 'g') {
    const int precision = conversion.precision < 0 ? 6 : conversion.precision;
    const double magnitude = std::fabs(value.as_real());
    negative = std::signbit(value.as_real());
    digits = letter == 'f'   ? fmt::format("{:.{}f}", magnitude, precision)
             : letter == 'e' ? fmt::format("{:.{}e}", magnitude, precision)
                             : fmt::format("{:.{}g}", magnitude, precision);
  } else {
    return Error{fmt::format("unknown format %{}", quoted(std::string_view(&letter, 1)))};
  }
  const std::string sign = negative ? "-" : conversion.plus ? "+" : conversion.space ? " " : "";
  if (conversion.zero && !conversion.left) {
    const size_t n_taken = sign.size() + digits.size();
    if (n_taken < static_cast<size_t>(conversion.width))
      digits.insert(0, static_cast<size_t>(conversion.width) - n_taken, '0');
  }
  return sign + digits;
}

}  // namespace

Result<std::string> percent_format(Environment& environment, std::string_view format, const Items& values) {
  std::string text;
  size_t next = 0;
  for (size_t position = 0; position < format.size();) {
    const size_t percent = format.find('%', position);
    text += format.substr(position, percent - position);
    if (percent == format.npos) break;
    position = percent + 1;
    EDGELLM_ASSIGN_OR_RETURN(const Conversion conversion, read_conversion(format, position));
    if (conversion.letter == '%') {
      text += '%';
      continue;
    }
    if (next >= values.size()) return Error{"not enough arguments for format string"};
    EDGELLM_ASSIGN_OR_RETURN(std::string piece, converted(environment, conversion, values[next++]));
    EDGELLM_RETURN_IF_ERROR(environment.charge(piece.size() + static_cast<size_t>(conversion.width)));
    const size_t length = n_code_points(piece);
    const size_t n_blanks =
        length < static_cast<size_t>(conversion.width) ? static_cast<size_t>(conversion.width) - length : 0;
    if (conversion.left)
      piece.append(n_blanks, ' ');
    else
      piece.insert(0, n_blanks, ' ');
    text += piece;
  }
  if (next < values.size() && !(values.size() == 1 && values[0].is(Kind::dict))) {
    return Error{"not all arguments converted during string formatting"};
  }
  return text;
}

Result<std::string> brace_format(Environment& environment, std::string_view format,
                                 const Arguments& arguments) {
  std::string text;
  size_t next = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if (c != '{' && c != '}') {
      text += c;
      continue;
    }
    if (i + 1 < format.size() && format[i + 1] == c) {
      text += c;
      ++i;
      continue;
    }
    const size_t end = format.find('}', i);
    if (c == '}' || end == format.npos) return Error{"a single brace in the format"};
    const std::string_view field = format.substr(i + 1, end - i - 1);
    i = end;
    const Value* value = nullptr;
    size_t index = next;
    const auto number = std::from_chars(field.data(), field.data() + field.size(), index);
    if (field.empty() || (number.ec == std::errc() && number.ptr == field.data() + field.size())) {
      if (field.empty()) ++next;
      if (index < arguments.positional.size()) value = &arguments.positional[index];
    } else {
      for (const auto& [name, held] : arguments.named) {
        if (name == field) value = &held;
      }
    }
    if (!value)
      return Error{fmt::format("format: no argument for {}",
                               quoted(format.substr(i - field.size() - 1, field.size() + 2)))};
    EDGELLM_ASSIGN_OR_RETURN(const std::string piece, to_text(environment, *value));
    text += piece;
  }
  return text;
}

}  // namespace edgellm::jinja
