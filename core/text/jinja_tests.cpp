// What may stand after `is` in a chat template.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "core/text/jinja_library.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"

namespace edgellm::jinja {
namespace {

template <bool (*holds)(const Value&)>
Result<Value> plain(Environment&, const Value& input, const Arguments& arguments) {
  EDGELLM_RETURN_IF_ERROR(bind(arguments, {}).ok() ? Status() : Status(Error{"this test takes no argument"}));
  return Value::boolean(holds(input));
}

bool is_defined(const Value& value) {
  return !value.is_undefined();
}
bool is_undefined(const Value& value) {
  return value.is_undefined();
}
bool is_none(const Value& value) {
  return value.is(Kind::none);
}
bool is_string(const Value& value) {
  return value.is(Kind::string);
}
bool is_mapping(const Value& value) {
  return value.is(Kind::dict);
}
bool is_boolean(const Value& value) {
  return value.is(Kind::boolean);
}
bool is_true(const Value& value) {
  return value.is(Kind::boolean) && value.as_boolean();
}
bool is_false(const Value& value) {
  return value.is(Kind::boolean) && !value.as_boolean();
}
bool is_number(const Value& value) {
  return value.is_number();
}
bool is_integer(const Value& value) {
  return value.is(Kind::integer);
}
bool is_float(const Value& value) {
  return value.is(Kind::real);
}
bool is_callable(const Value& value) {
  return value.is(Kind::callable) || value.is_undefined();
}
// An undefined value has a length and can be iterated, so Jinja calls it a sequence.
bool is_sequence(const Value& value) {
  return value.is(Kind::string) || value.is_sequence() || value.is(Kind::dict) || value.is_undefined();
}
bool is_iterable(const Value& value) {
  return is_sequence(value) || value.is(Kind::loop);
}

bool cased(const Value& value, bool (*wanted)(std::string_view), bool (*unwanted)(std::string_view)) {
  if (!value.is(Kind::string)) return false;
  bool found = false;
  for (std::string_view character : code_points(value.as_string())) {
    if (unwanted(character)) return false;
    found = found || wanted(character);
  }
  return found;
}
bool has_upper_case(const Value& value) {
  return cased(value, is_upper, is_lower);
}
bool has_lower_case(const Value& value) {
  return cased(value, is_lower, is_upper);
}

template <const char* name>
Result<Value> compared(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"other"}, 1));
  EDGELLM_ASSIGN_OR_RETURN(const bool holds, comparison(environment, name, input, *bound[0]));
  return Value::boolean(holds);
}
constexpr char kEqual[] = "==", kUnequal[] = "!=", kLess[] = "<", kLessEqual[] = "<=", kGreater[] = ">",
               kGreaterEqual[] = ">=", kIn[] = "in";

Result<Value> remainder_is(Environment& environment, const Value& input, int64_t divisor, int64_t wanted) {
  EDGELLM_ASSIGN_OR_RETURN(const Value remainder,
                           arithmetic(environment, "%", input, Value::integer(divisor)));
  return Value::boolean(remainder.is_number() && remainder.as_real() == static_cast<double>(wanted));
}

Result<Value> is_odd(Environment& environment, const Value& input, const Arguments&) {
  return remainder_is(environment, input, 2, 1);
}

Result<Value> is_even(Environment& environment, const Value& input, const Arguments&) {
  return remainder_is(environment, input, 2, 0);
}

Result<Value> is_divisible(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"num"}, 1));
  EDGELLM_ASSIGN_OR_RETURN(const int64_t divisor, integer_argument(bound[0], 0));
  return remainder_is(environment, input, divisor, 0);
}

// True for the very same value; for what a template can hold by value that is equality of kind and content.
Result<Value> is_same(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"other"}, 1));
  if (input.kind() != bound[0]->kind()) return Value::boolean(false);
  EDGELLM_ASSIGN_OR_RETURN(const bool same, comparison(environment, "==", input, *bound[0]));
  return Value::boolean(same);
}

struct Row {
  std::string_view name;
  Builtin test;
};
constexpr std::array kTests = std::to_array<Row>({
    {"!=", compared<kUnequal>},
    {"<", compared<kLess>},
    {"<=", compared<kLessEqual>},
    {"==", compared<kEqual>},
    {">", compared<kGreater>},
    {">=", compared<kGreaterEqual>},
    {"boolean", plain<is_boolean>},
    {"callable", plain<is_callable>},
    {"defined", plain<is_defined>},
    {"divisibleby", is_divisible},
    {"eq", compared<kEqual>},
    {"equalto", compared<kEqual>},
    {"even", is_even},
    {"false", plain<is_false>},
    {"float", plain<is_float>},
    {"ge", compared<kGreaterEqual>},
    {"greaterthan", compared<kGreater>},
    {"gt", compared<kGreater>},
    {"in", compared<kIn>},
    {"integer", plain<is_integer>},
    {"iterable", plain<is_iterable>},
    {"le", compared<kLessEqual>},
    {"lessthan", compared<kLess>},
    {"lower", plain<has_lower_case>},
    {"lt", compared<kLess>},
    {"mapping", plain<is_mapping>},
    {"ne", compared<kUnequal>},
    {"none", plain<is_none>},
    {"number", plain<is_number>},
    {"odd", is_odd},
    {"sameas", is_same},
    {"sequence", plain<is_sequence>},
    {"string", plain<is_string>},
    {"true", plain<is_true>},
    {"undefined", plain<is_undefined>},
    {"upper", plain<has_upper_case>},
});

}  // namespace

Builtin find_test(std::string_view name) {
  const auto row =
      std::find_if(kTests.begin(), kTests.end(), [&](const Row& each) { return each.name == name; });
  return row == kTests.end() ? nullptr : row->test;
}

}  // namespace edgellm::jinja
