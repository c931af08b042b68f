// Filters of chat templates over texts, numbers and single values; those over sequences are in
// jinja_sequence_filters.cpp.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

#include "core/text/jinja_filter_rows.h"
#include "core/text/jinja_library.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"

namespace edgellm::jinja {
namespace {

// Text filters take any value as its text.
template <std::string (*change)(std::string_view)>
Result<Value> changed(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  EDGELLM_ASSIGN_OR_RETURN(const auto text, to_text(environment, input));
  EDGELLM_RETURN_IF_ERROR(environment.charge(4 * text.size()));
  return environment.text(change(text));
}

Result<Value> trim(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(auto text, to_text(environment, input));
  return find_method(Value::string(""), "strip")(environment, Value::string(std::move(text)), arguments);
}

Result<Value> string(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  EDGELLM_ASSIGN_OR_RETURN(auto text, to_text(environment, input));
  return environment.text(std::move(text));
}

Result<Value> replace(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"old", "new", "count"}, 2));
  EDGELLM_ASSIGN_OR_RETURN(const auto text, to_text(environment, input));
  EDGELLM_ASSIGN_OR_RETURN(const auto from, to_text(environment, *bound[0]));
  EDGELLM_ASSIGN_OR_RETURN(const auto to, to_text(environment, *bound[1]));
  EDGELLM_ASSIGN_OR_RETURN(const int64_t count, integer_argument(bound[2], -1));
  size_t left = count < 0 ? text.size() + 1 : static_cast<size_t>(count);
  std::string result;
  size_t start = 0;
  // An empty `from` is found before each character and at the end.
  for (size_t place = find_text(text, from); left > 0 && place != std::string::npos; --left) {
    EDGELLM_RETURN_IF_ERROR(environment.charge(to.size() + 8));
    if (result.size() + to.size() > Environment::kMaxValueBytes)
      return Error{"replace: the text grows too large"};
    result.append(text, start, place - start);
    result += to;
    start = place + from.size();
    if (from.empty() && place == text.size()) break;
    const size_t step = from.empty() ? code_points(std::string_view(text).substr(place, 4))[0].size() : 0;
    place = find_text(text, from, start + step);
  }
  result.append(text, std::min(start, text.size()));
  return environment.text(std::move(result));
}

Result<Value> indent(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"width", "first", "blank"}));
  EDGELLM_ASSIGN_OR_RETURN(auto text, to_text(environment, input));
  std::string margin;
  if (bound[0] && bound[0]->is(Kind::string)) {
    margin = bound[0]->as_string();
  } else {
    EDGELLM_ASSIGN_OR_RETURN(const int64_t width, integer_argument(bound[0], 4));
    if (width > 1000) return Error{"indent: a width over 1000"};
    margin.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  const bool blank = bound[2] && bound[2]->truthy();
  std::string result = bound[1] && bound[1]->truthy() ? margin : "";
  text += '\n';
  bool is_first = true;
  EDGELLM_RETURN_IF_ERROR(environment.charge(4 * text.size()));
  for (std::string_view line : lines_of(text)) {
    EDGELLM_RETURN_IF_ERROR(environment.charge(margin.size() + line.size()));
    if (result.size() + margin.size() > Environment::kMaxValueBytes)
      return Error{"indent: the text grows too large"};
    if (!is_first) result += '\n';
    if (!is_first && (blank || !line.empty())) result += margin;
    result += line;
    is_first = false;
  }
  return environment.text(std::move(result));
}

Result<Value> escape(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  EDGELLM_ASSIGN_OR_RETURN(const auto text, to_text(environment, input));
  EDGELLM_RETURN_IF_ERROR(environment.charge(6 * text.size()));
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '\'':
        result += "&#39;";
        break;
      case '"':
        result += "&#34;";
        break;
      default:
        result += c;
    }
  }
  return environment.text(std::move(result));
}

Result<Value> format(Environment& environment, const Value& input, const Arguments& arguments) {
  if (!arguments.named.empty()) return Error{"format: arguments with names are not known here"};
  EDGELLM_ASSIGN_OR_RETURN(const auto pattern, to_text(environment, input));
  EDGELLM_ASSIGN_OR_RETURN(auto text, percent_format(environment, pattern, arguments.positional));
  return environment.text(std::move(text));
}

Result<Value> tojson(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound,
                           bind(arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}));
  JsonStyle style;
  style.ascii = bound[0] && bound[0]->truthy();
  if (bound[1] && !bound[1]->is(Kind::none)) {
    style.item_separator = ",";
    if (bound[1]->is(Kind::string)) {
      style.indent = bound[1]->as_string();
    } else {
      EDGELLM_ASSIGN_OR_RETURN(const int64_t width, integer_argument(bound[1], 0));
      if (width > 1000) return Error{"tojson: an indent over 1000"};
      style.indent = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    }
  }
  if (bound[2] && !bound[2]->is(Kind::none)) {
    const bool two = bound[2]->is_sequence() && bound[2]->items().size() == 2 &&
                     bound[2]->items()[0].is(Kind::string) && bound[2]->items()[1].is(Kind::string);
    if (!two) return Error{"tojson: separators are two texts"};
    style.item_separator = bound[2]->items()[0].as_string();
    style.key_separator = bound[2]->items()[1].as_string();
  }
  style.sort_keys = bound[3] && bound[3]->truthy();
  EDGELLM_ASSIGN_OR_RETURN(auto text, to_json(environment, input, style));
  return environment.text(std::move(text));
}

Result<Value> otherwise(Environment&, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"default_value", "boolean"}));
  const bool for_false = bound[1] && bound[1]->truthy();
  if (input.is_undefined() || (for_false && !input.truthy())) return bound[0] ? *bound[0] : Value::string("");
  return input;
}

Result<Value> absolute(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  if (input.is(Kind::real)) return Value::real(std::fabs(input.as_real()));
  return arithmetic(environment, input.is_integral() && input.as_integer() < 0 ? "-" : "+", Value::integer(0),
                    input);
}

std::string_view number_text(const Value& input) {
  std::string_view text = strip_right(strip_left(input.as_string()));
  if (text.starts_with('+') && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  return text;
}

template <class Number, class... Base>
std::optional<Number> whole_text_as(std::string_view text, Base... base) {
  Number number{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number, base...);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<int64_t> truncated(double value) {
  if (!(std::fabs(value) < 9.2e18)) return std::nullopt;
  return static_cast<int64_t>(value);
}

Result<Value> to_integer(Environment&, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"default", "base"}));
  EDGELLM_ASSIGN_OR_RETURN(const int64_t base, integer_argument(bound[1], 10));
  if (base < 2 || base > 36) return Error{"int: a base from 2 to 36 expected"};
  if (input.is_undefined()) return Error{input.undefined_message()};
  std::optional<int64_t> number;
  if (input.is_integral()) {
    number = input.as_integer();
  } else if (input.is(Kind::real)) {
    number = truncated(input.as_real());
  } else if (input.is(Kind::string)) {
    number = whole_text_as<int64_t>(number_text(input), static_cast<int>(base));
    if (!number) {
      if (const auto real = whole_text_as<double>(number_text(input))) number = truncated(*real);
    }
  }
  return number ? Value::integer(*number) : bound[0].value_or(Value::integer(0));
}

Result<Value> to_real(Environment&, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"default"}));
  if (input.is_undefined()) return Error{input.undefined_message()};
  if (input.is_number()) return Value::real(input.as_real());
  std::optional<double> number;
  if (input.is(Kind::string)) number = whole_text_as<double>(number_text(input));
  return number ? Value::real(*number) : bound[0].value_or(Value::real(0));
}

Result<Value> round(Environment&, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"precision", "method"}));
  EDGELLM_ASSIGN_OR_RETURN(const int64_t precision, integer_argument(bound[0], 0));
  EDGELLM_ASSIGN_OR_RETURN(const auto method, text_argument(bound[1], "common"));
  if (!input.is_number()) return Error{fmt::format("round: a number expected, got {}", type_name(input))};
  if (precision < 0 || precision > 300) return Error{"round: a precision from 0 to 300 expected"};
  const double value = input.as_real();
  if (method == "common") {
    if (input.is_integral() || !std::isfinite(value)) return input;
    return Value::real(*whole_text_as<double>(fmt::format("{:.{}f}", value, precision)));
  }
  if (method != "ceil" && method != "floor") return Error{"round: the method must be common, ceil or floor"};
  const double scale = std::pow(10.0, static_cast<double>(precision));
  return Value::real((method == "ceil" ? std::ceil(value * scale) : std::floor(value * scale)) / scale);
}

constexpr std::array kFilters = std::to_array<FilterRow>({
    {"abs", absolute},
    {"capitalize", changed<capitalize>},
    {"d", otherwise},
    {"default", otherwise},
    {"e", escape},
    {"escape", escape},
    {"float", to_real},
    {"format", format},
    {"indent", indent},
    {"int", to_integer},
    {"lower", changed<lower>},
    {"replace", replace},
    {"round", round},
    {"safe", string},
    {"string", string},
    {"title", changed<title_by_spaces>},
    {"tojson", tojson},
    {"trim", trim},
    {"upper", changed<upper>},
});

}  // namespace

Builtin find_filter(std::string_view name) {
  const Builtin found = find_filter_row(kFilters, name);
  return found ? found : find_sequence_filter(name);
}

}  // namespace edgellm::jinja
