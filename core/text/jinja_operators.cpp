#include "core/text/jinja_operators.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "core/text/jinja_library.h"
#include "core/text/jinja_text.h"

namespace edgellm::jinja {
namespace {

Error out_of_range() {
  return Error{"an integer outside of 64 bits"};
}

Result<Value> power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  // From 2^63 on every base but these overflows, so the loop is short.
  if (base == 0 || base == 1) return Value::integer(exponent == 0 ? 1 : base);
  if (base == -1) return Value::integer(exponent % 2 == 0 ? 1 : -1);
  for (int64_t i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(result, base, &result)) return out_of_range();
  }
  return Value::integer(result);
}

Result<Value> integer_arithmetic(char name, bool doubled, int64_t left, int64_t right) {
  int64_t result = 0;
  switch (name) {
    case '+':
      return __builtin_add_overflow(left, right, &result) ? Result<Value>(out_of_range())
                                                          : Value::integer(result);
    case '-':
      return __builtin_sub_overflow(left, right, &result) ? Result<Value>(out_of_range())
                                                          : Value::integer(result);
    case '*':
      if (doubled)
        return right < 0 ? Value::real(std::pow(static_cast<double>(left), static_cast<double>(right)))
                         : power(left, right);
      return __builtin_mul_overflow(left, right, &result) ? Result<Value>(out_of_range())
                                                          : Value::integer(result);
    default:
      break;
  }
  if (right == 0) return Error{"division by zero"};
  if (name == '/' && !doubled) return Value::real(static_cast<double>(left) / static_cast<double>(right));
  if (right == -1) return name == '%' ? Value::integer(0) : integer_arithmetic('-', false, 0, left);
  // Python rounds down, C++ towards zero.
  int64_t quotient = left / right;
  int64_t remainder = left % right;
  if (remainder != 0 && (remainder < 0) != (right < 0)) {
    --quotient;
    remainder += right;
  }
  return Value::integer(name == '%' ? remainder : quotient);
}

Result<Value> real_arithmetic(char name, bool doubled, double left, double right) {
  switch (name) {
    case '+':
      return Value::real(left + right);
    case '-':
      return Value::real(left - right);
    case '*':
      return Value::real(doubled ? std::pow(left, right) : left * right);
    default:
      break;
  }
  if (right == 0) return Error{"division by zero"};
  if (name == '/') return Value::real(doubled ? std::floor(left / right) : left / right);
  double remainder = std::fmod(left, right);
  if (remainder != 0 && (remainder < 0) != (right < 0)) remainder += right;
  return Value::real(remainder);
}

Result<Value> repeat(Environment& environment, const Value& value, int64_t n_times) {
  const auto times = static_cast<uint64_t>(std::max<int64_t>(n_times, 0));
  const size_t n_parts = value.is(Kind::string) ? value.as_string().size() : value.items().size();
  if (n_parts > 0 && times > Environment::kMaxValueBytes / n_parts)
    return Error{"a repeated value is too large"};
  EDGELLM_RETURN_IF_ERROR(environment.charge(times * n_parts));
  if (value.is(Kind::string)) {
    std::string text;
    text.reserve(times * n_parts);
    for (uint64_t i = 0; n_parts > 0 && i < times; ++i) text += value.as_string();
    return environment.text(std::move(text));
  }
  EDGELLM_RETURN_IF_ERROR(environment.charge(times * n_parts * sizeof(Value)));
  Items items;
  for (uint64_t i = 0; n_parts > 0 && i < times; ++i)
    items.insert(items.end(), value.items().begin(), value.items().end());
  return value.is(Kind::list) ? environment.list(std::move(items)) : environment.tuple(std::move(items));
}

Result<Value> concatenate(Environment& environment, const Value& left, const Value& right) {
  if (left.is(Kind::string)) {
    std::string text;
    text.reserve(left.as_string().size() + right.as_string().size());
    text += left.as_string();
    text += right.as_string();
    return environment.text(std::move(text));
  }
  EDGELLM_RETURN_IF_ERROR(environment.charge((left.items().size() + right.items().size()) * sizeof(Value)));
  Items items = left.items();
  items.insert(items.end(), right.items().begin(), right.items().end());
  return left.is(Kind::list) ? environment.list(std::move(items)) : environment.tuple(std::move(items));
}

Result<bool> contains(Environment& environment, const Value& item, const Value& container) {
  switch (container.kind()) {
    case Kind::undefined:
      return false;
    case Kind::string:
      if (item.is_undefined()) return Error{item.undefined_message()};
      if (!item.is(Kind::string)) {
        return Error{fmt::format("'in <string>' requires string as left operand, not {}", type_name(item))};
      }
      EDGELLM_RETURN_IF_ERROR(environment.charge(container.weight()));
      return find_text(container.as_string(), item.as_string()) != std::string_view::npos;
    case Kind::list:
    case Kind::tuple: {
      const size_t weight = item.weight();
      size_t work = 0;
      for (const Value& other : container.items()) work += std::min(weight, other.weight());
      EDGELLM_RETURN_IF_ERROR(environment.charge(work));
      return std::any_of(container.items().begin(), container.items().end(),
                         [&](const Value& other) { return equal(other, item); });
    }
    case Kind::dict:
      EDGELLM_RETURN_IF_ERROR(environment.charge(item.weight() + 16 * container.as_dict().entries.size()));
      return container.as_dict().find(item) != nullptr;
    default:
      return Error{fmt::format("argument of type '{}' is not iterable", type_name(container))};
  }
}

// The range a slice of `length` items visits, by Python's rules: `n_items` positions from `first`, `step`
// apart.
struct Visited {
  int64_t first = 0, step = 1, n_items = 0;
};

Visited visited_by(const Slice& slice, int64_t length) {
  const int64_t step = std::clamp<int64_t>(slice.step.value_or(1), -(int64_t{1} << 40), int64_t{1} << 40);
  const auto bound = [&](const std::optional<int64_t>& position, int64_t otherwise) {
    if (!position) return otherwise;
    const int64_t lowest = step > 0 ? 0 : -1;
    const int64_t highest = step > 0 ? length : length - 1;
    const int64_t from_start = *position < 0 ? std::max(*position, -length - 1) + length : *position;
    return std::clamp(from_start, lowest, std::max(lowest, highest));
  };
  const int64_t start = bound(slice.start, step > 0 ? 0 : length - 1);
  const int64_t stop = bound(slice.stop, step > 0 ? length : -1);
  const int64_t distance = step > 0 ? stop - start : start - stop;
  const int64_t stride = std::abs(step);
  return {start, step, distance > 0 ? (distance + stride - 1) / stride : 0};
}

Value loop_attribute(const Loop& loop, std::string_view name) {
  const auto length = static_cast<int64_t>(loop.items.size());
  const auto index = static_cast<int64_t>(loop.index);
  if (name == "index") return Value::integer(index + 1);
  if (name == "index0") return Value::integer(index);
  if (name == "revindex") return Value::integer(length - index);
  if (name == "revindex0") return Value::integer(length - index - 1);
  if (name == "first") return Value::boolean(index == 0);
  if (name == "last") return Value::boolean(index + 1 == length);
  if (name == "length") return Value::integer(length);
  // Jinja counts only the levels of a recursive loop, which is not known here.
  if (name == "depth") return Value::integer(1);
  if (name == "depth0") return Value::integer(0);
  if (name == "previtem" && index > 0) return loop.items[loop.index - 1];
  if (name == "nextitem" && index + 1 < length) return loop.items[loop.index + 1];
  if (name == "previtem") return Value::undefined("there is no previous item");
  if (name == "nextitem") return Value::undefined("there is no next item");
  return Value::undefined(fmt::format("'loop' has no attribute '{}'", name));
}

bool would_change(std::string_view method) {
  static constexpr std::string_view kNames[] = {"append",  "extend", "insert", "pop",        "remove", "sort",
                                                "reverse", "clear",  "update", "setdefault", "popitem"};
  return std::find(std::begin(kNames), std::end(kNames), method) != std::end(kNames);
}

Value missing(const Value& object, std::string_view name) {
  if ((object.is(Kind::list) || object.is(Kind::dict)) && would_change(name)) {
    return Value::undefined(
        fmt::format("'{}' would change a {}, which chat templates may not do", name, type_name(object)));
  }
  return Value::undefined(fmt::format("'{} object' has no attribute '{}'", type_name(object), name));
}

}  // namespace

Result<Value> arithmetic(Environment& environment, std::string_view name, const Value& left,
                         const Value& right) {
  const bool doubled = name.size() == 2;
  if (name == "%" && left.is(Kind::string)) {
    EDGELLM_ASSIGN_OR_RETURN(auto text, percent_format(environment, left.as_string(),
                                                       right.is(Kind::tuple) ? right.items() : Items{right}));
    return environment.text(std::move(text));
  }
  if (left.is_number() && right.is_number()) {
    if (left.is_integral() && right.is_integral()) {
      return integer_arithmetic(name[0], doubled, left.as_integer(), right.as_integer());
    }
    return real_arithmetic(name[0], doubled, left.as_real(), right.as_real());
  }
  const auto repeats = [](const Value& value) { return value.is(Kind::string) || value.is_sequence(); };
  if (name == "+" && repeats(left) && left.kind() == right.kind())
    return concatenate(environment, left, right);
  if (name == "*" && repeats(left) && right.is_integral())
    return repeat(environment, left, right.as_integer());
  if (name == "*" && repeats(right) && left.is_integral())
    return repeat(environment, right, left.as_integer());
  if (left.is_undefined()) return Error{left.undefined_message()};
  if (right.is_undefined()) return Error{right.undefined_message()};
  return Error{fmt::format("unsupported operand types for {}: '{}' and '{}'", name, type_name(left),
                           type_name(right))};
}

Result<bool> comparison(Environment& environment, std::string_view name, const Value& left,
                        const Value& right) {
  if (name == "in") return contains(environment, left, right);
  if (name == "not in") {
    EDGELLM_ASSIGN_OR_RETURN(const bool found, contains(environment, left, right));
    return !found;
  }
  EDGELLM_RETURN_IF_ERROR(environment.charge(std::min(left.weight(), right.weight())));
  if (name == "==") return equal(left, right);
  if (name == "!=") return !equal(left, right);
  const bool has_nan = (left.is(Kind::real) && std::isnan(left.as_real())) ||
                       (right.is(Kind::real) && std::isnan(right.as_real()));
  EDGELLM_ASSIGN_OR_RETURN(const int order, compare(left, right));
  if (has_nan) return false;
  if (name == "<") return order < 0;
  if (name == "<=") return order <= 0;
  if (name == ">") return order > 0;
  return order >= 0;
}

Result<Value> attribute(Environment& environment, const Value& object, std::string_view name) {
  if (object.is_undefined()) return Error{object.undefined_message()};
  if (object.is(Kind::loop) && name != "cycle") return loop_attribute(object.as_loop(), name);
  if (find_method(object, name)) return environment.bound_method(std::string(name), object);
  if (object.is(Kind::dict)) {
    if (const Value* value = object.as_dict().find(Value::string(std::string(name)))) return *value;
  }
  if (object.is(Kind::callable) && name == "name") return environment.text(object.as_callable().name);
  if (object.is(Kind::name_space)) {
    for (const auto& [key, value] : object.as_namespace()->attributes) {
      if (key == name) return value;
    }
  }
  return missing(object, name);
}

Result<Value> subscript(Environment& environment, const Value& object, const Value& key) {
  if (object.is_undefined()) return Error{object.undefined_message()};
  EDGELLM_RETURN_IF_ERROR(environment.charge(key.weight()));
  if (object.is(Kind::dict)) {
    EDGELLM_RETURN_IF_ERROR(environment.charge(16 * object.as_dict().entries.size()));
    if (const Value* value = object.as_dict().find(key)) return *value;
  } else if (key.is_integral() && (object.is_sequence() || object.is(Kind::string))) {
    std::vector<std::string_view> characters;
    if (object.is(Kind::string)) {
      EDGELLM_RETURN_IF_ERROR(environment.charge(16 * object.as_string().size()));
      characters = code_points(object.as_string());
    }
    const auto length =
        static_cast<int64_t>(object.is(Kind::string) ? characters.size() : object.items().size());
    const int64_t position = key.as_integer() < 0 ? key.as_integer() + length : key.as_integer();
    if (position < 0 || position >= length) {
      return Value::undefined(
          fmt::format("'{} object' has no element {}", type_name(object), key.as_integer()));
    }
    const auto at = static_cast<size_t>(position);
    return object.is(Kind::string) ? Value::string(std::string(characters[at])) : object.items()[at];
  }
  if (key.is(Kind::string)) {
    if (!object.is(Kind::dict) || find_method(object, key.as_string()))
      return attribute(environment, object, key.as_string());
    return missing(object, key.as_string());
  }
  return Value::undefined(fmt::format("'{} object' has no such element", type_name(object)));
}

Result<Value> slice(Environment& environment, const Value& object, const Slice& slice) {
  if (object.is_undefined()) return Error{object.undefined_message()};
  if (slice.step == 0) return Error{"slice step cannot be zero"};
  if (object.is(Kind::string)) {
    EDGELLM_RETURN_IF_ERROR(environment.charge(16 * object.as_string().size()));
    const auto characters = code_points(object.as_string());
    const Visited visited = visited_by(slice, static_cast<int64_t>(characters.size()));
    std::string text;
    for (int64_t i = 0; i < visited.n_items; ++i)
      text += characters[static_cast<size_t>(visited.first + i * visited.step)];
    return environment.text(std::move(text));
  }
  if (!object.is_sequence())
    return Value::undefined(fmt::format("'{} object' cannot be sliced", type_name(object)));
  EDGELLM_RETURN_IF_ERROR(environment.charge(object.items().size() * sizeof(Value)));
  const Visited visited = visited_by(slice, static_cast<int64_t>(object.items().size()));
  Items items;
  for (int64_t i = 0; i < visited.n_items; ++i)
    items.push_back(object.items()[static_cast<size_t>(visited.first + i * visited.step)]);
  return object.is(Kind::list) ? environment.list(std::move(items)) : environment.tuple(std::move(items));
}

}  // namespace edgellm::jinja
