// Filters of chat templates over lists, dicts and what can be iterated.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>

#include "core/text/jinja_filter_rows.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"

namespace edgellm::jinja {
namespace {

Result<Value> length(Environment&, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  switch (input.kind()) {
    case Kind::undefined:
      return Value::integer(0);
    case Kind::string:
      return Value::integer(static_cast<int64_t>(n_code_points(input.as_string())));
    case Kind::list:
    case Kind::tuple:
      return Value::integer(static_cast<int64_t>(input.items().size()));
    case Kind::dict:
      return Value::integer(static_cast<int64_t>(input.as_dict().entries.size()));
    default:
      return Error{fmt::format("object of type '{}' has no len()", type_name(input))};
  }
}

template <bool is_first>
Result<Value> end_item(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  EDGELLM_ASSIGN_OR_RETURN(const Items items, iterate(environment, input));
  if (items.empty()) return Value::undefined("No item of an empty sequence");
  return is_first ? items.front() : items.back();
}

Result<Value> list(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  EDGELLM_ASSIGN_OR_RETURN(auto items, iterate(environment, input));
  return environment.list(std::move(items));
}

Result<Value> reverse(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  if (input.is(Kind::string)) return slice(environment, input, Slice{{}, {}, -1});
  EDGELLM_ASSIGN_OR_RETURN(auto items, iterate(environment, input));
  std::reverse(items.begin(), items.end());
  return environment.list(std::move(items));
}

// item.a.b for the attribute "a.b" (a part of digits is a position), item[3] for 3.
Result<Value> attribute_of(Environment& environment, const Value& item, const Value& attribute) {
  if (attribute.is_integral()) return subscript(environment, item, attribute);
  if (!attribute.is(Kind::string)) return Error{"an attribute is named by a text or a number"};
  Value value = item;
  std::string_view path = attribute.as_string();
  while (true) {
    const size_t point = path.find('.');
    const std::string_view part = path.substr(0, point);
    int64_t position = 0;
    const auto read = std::from_chars(part.data(), part.data() + part.size(), position);
    const bool is_position =
        !part.empty() && read.ec == std::errc() && read.ptr == part.data() + part.size() && part[0] != '-';
    EDGELLM_ASSIGN_OR_RETURN(
        value, subscript(environment, value,
                         is_position ? Value::integer(position) : Value::string(std::string(part))));
    if (point == path.npos) return value;
    path.remove_prefix(point + 1);
  }
}

Result<Value> join(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"d", "attribute"}));
  const Value separator = bound[0].value_or(Value::string(""));
  EDGELLM_ASSIGN_OR_RETURN(const auto between, to_text(environment, separator));
  EDGELLM_ASSIGN_OR_RETURN(const Items items, iterate(environment, input));
  const bool by_attribute = bound[1] && !bound[1]->is(Kind::none);
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    Value item = items[i];
    if (by_attribute) {
      EDGELLM_ASSIGN_OR_RETURN(item, attribute_of(environment, item, *bound[1]));
    }
    EDGELLM_ASSIGN_OR_RETURN(const auto piece, to_text(environment, item));
    EDGELLM_RETURN_IF_ERROR(environment.charge(between.size() + piece.size()));
    if (text.size() > Environment::kMaxValueBytes) return Error{"join: the text grows too large"};
    if (i > 0) text += between;
    text += piece;
  }
  return environment.text(std::move(text));
}

Result<Value> items(Environment& environment, const Value& input, const Arguments& arguments) {
  if (input.is_undefined()) return environment.list({});
  if (!input.is(Kind::dict)) return Error{"Can only get item pairs from a mapping."};
  return find_method(input, "items")(environment, input, arguments);
}

// What a value is ordered and told apart by: itself, or its attribute; letters of either case alike unless
// asked.
Result<Value> sort_key(Environment& environment, const Value& item, const std::optional<Value>& attribute,
                       bool case_sensitive) {
  Value key = item;
  if (attribute && !attribute->is(Kind::none)) {
    EDGELLM_ASSIGN_OR_RETURN(key, attribute_of(environment, item, *attribute));
  }
  if (!case_sensitive && key.is(Kind::string)) {
    EDGELLM_RETURN_IF_ERROR(environment.charge(4 * key.weight()));
    return environment.text(lower(key.as_string()));
  }
  return key;
}

struct Keyed {
  Value key, item;
};

Result<Items> sorted(Environment& environment, std::vector<Keyed> keyed, bool descending) {
  size_t weight = 0;
  for (const Keyed& each : keyed) weight += each.key.weight();
  EDGELLM_RETURN_IF_ERROR(environment.charge(weight * static_cast<size_t>(std::log2(keyed.size() + 2))));
  std::optional<Error> failed;
  const auto before = [&](const Value& a, const Value& b) {
    const auto order = compare(a, b);
    if (!order.ok()) failed = order.error();
    return order.ok() && *order < 0;
  };
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    return descending ? before(b.key, a.key) : before(a.key, b.key);
  });
  if (failed) return *failed;
  Items result;
  for (Keyed& each : keyed) result.push_back(std::move(each.item));
  return result;
}

Result<Value> sort(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"reverse", "case_sensitive", "attribute"}));
  EDGELLM_ASSIGN_OR_RETURN(const Items unsorted, iterate(environment, input));
  std::vector<Keyed> keyed;
  for (const Value& item : unsorted) {
    EDGELLM_ASSIGN_OR_RETURN(auto key, sort_key(environment, item, bound[2], bound[1] && bound[1]->truthy()));
    keyed.push_back({std::move(key), item});
  }
  EDGELLM_ASSIGN_OR_RETURN(auto result,
                           sorted(environment, std::move(keyed), bound[0] && bound[0]->truthy()));
  return environment.list(std::move(result));
}

Result<Value> dictsort(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"case_sensitive", "by", "reverse"}));
  EDGELLM_ASSIGN_OR_RETURN(const auto by, text_argument(bound[1], "key"));
  if (by != "key" && by != "value") return Error{"dictsort: by must be key or value"};
  if (!input.is(Kind::dict)) return Error{fmt::format("dictsort: a dict expected, got {}", type_name(input))};
  std::vector<Keyed> keyed;
  for (const auto& [name, value] : input.as_dict().entries) {
    const Value& wanted = by == "key" ? name : value;
    EDGELLM_ASSIGN_OR_RETURN(auto key,
                             sort_key(environment, wanted, std::nullopt, bound[0] && bound[0]->truthy()));
    EDGELLM_ASSIGN_OR_RETURN(auto pair, environment.tuple({name, value}));
    keyed.push_back({std::move(key), std::move(pair)});
  }
  EDGELLM_ASSIGN_OR_RETURN(auto result,
                           sorted(environment, std::move(keyed), bound[2] && bound[2]->truthy()));
  return environment.list(std::move(result));
}

Result<Value> unique(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"case_sensitive", "attribute"}));
  EDGELLM_ASSIGN_OR_RETURN(const Items all, iterate(environment, input));
  Items seen, kept;
  for (const Value& item : all) {
    EDGELLM_ASSIGN_OR_RETURN(auto key, sort_key(environment, item, bound[1], bound[0] && bound[0]->truthy()));
    size_t work = 16 * seen.size();
    for (const Value& other : seen) work += std::min(key.weight(), other.weight());
    EDGELLM_RETURN_IF_ERROR(environment.charge(work));
    if (std::any_of(seen.begin(), seen.end(), [&](const Value& other) { return equal(key, other); }))
      continue;
    seen.push_back(std::move(key));
    kept.push_back(item);
  }
  return environment.list(std::move(kept));
}

template <bool wants_most>
Result<Value> extreme(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"case_sensitive", "attribute"}));
  EDGELLM_ASSIGN_OR_RETURN(const Items all, iterate(environment, input));
  std::optional<Keyed> best;
  for (const Value& item : all) {
    EDGELLM_ASSIGN_OR_RETURN(auto key, sort_key(environment, item, bound[1], bound[0] && bound[0]->truthy()));
    if (best) {
      EDGELLM_RETURN_IF_ERROR(environment.charge(std::min(key.weight(), best->key.weight())));
      EDGELLM_ASSIGN_OR_RETURN(const int order, compare(key, best->key));
      if (wants_most ? order <= 0 : order >= 0) continue;
    }
    best = Keyed{std::move(key), item};
  }
  return best ? best->item : Value::undefined("No aggregated item, sequence was empty.");
}

Result<Value> sum(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"attribute", "start"}));
  EDGELLM_ASSIGN_OR_RETURN(const Items all, iterate(environment, input));
  Value total = bound[1].value_or(Value::integer(0));
  for (Value item : all) {
    if (bound[0] && !bound[0]->is(Kind::none)) {
      EDGELLM_ASSIGN_OR_RETURN(item, attribute_of(environment, item, *bound[0]));
    }
    EDGELLM_ASSIGN_OR_RETURN(total, arithmetic(environment, "+", total, item));
  }
  return total;
}

Result<Value> map(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const Items all, iterate(environment, input));
  Items result;
  if (arguments.positional.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"attribute", "default"}));
    if (!bound[0]) return Error{"map: the name of a filter or attribute= expected"};
    for (const Value& item : all) {
      EDGELLM_ASSIGN_OR_RETURN(auto value, attribute_of(environment, item, *bound[0]));
      result.push_back(value.is_undefined() && bound[1] ? *bound[1] : std::move(value));
    }
    return environment.list(std::move(result));
  }
  EDGELLM_ASSIGN_OR_RETURN(const auto name, text_argument(arguments.positional[0], ""));
  const Builtin filter = find_filter(name);
  if (!filter) return Error{fmt::format("unknown filter '{}'", name)};
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin());
  for (const Value& item : all) {
    EDGELLM_RETURN_IF_ERROR(environment.charge(Environment::kStepCost));
    EDGELLM_ASSIGN_OR_RETURN(auto value, filter(environment, item, rest));
    result.push_back(std::move(value));
  }
  return environment.list(std::move(result));
}

// select and reject by a test on the item; selectattr and rejectattr by a test on its attribute, named first.
// Without a test it is the truth of the value that counts.
template <bool keeps, bool by_attribute>
Result<Value> chosen(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const Items all, iterate(environment, input));
  Arguments rest = arguments;
  Value attribute;
  if (by_attribute) {
    if (rest.positional.empty()) return Error{"the name of an attribute expected"};
    attribute = rest.positional[0];
    rest.positional.erase(rest.positional.begin());
  }
  Builtin test = nullptr;
  if (!rest.positional.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(const auto name, text_argument(rest.positional[0], ""));
    test = find_test(name);
    if (!test) return Error{fmt::format("unknown test '{}'", name)};
    rest.positional.erase(rest.positional.begin());
  }
  Items kept;
  for (const Value& item : all) {
    EDGELLM_RETURN_IF_ERROR(environment.charge(Environment::kStepCost));
    Value value = item;
    if (by_attribute) {
      EDGELLM_ASSIGN_OR_RETURN(value, attribute_of(environment, item, attribute));
    }
    if (test) {
      EDGELLM_ASSIGN_OR_RETURN(value, test(environment, value, rest));
    }
    if (value.truthy() == keeps) kept.push_back(item);
  }
  return environment.list(std::move(kept));
}

Result<Value> attr(Environment& environment, const Value& input, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"name"}, 1));
  EDGELLM_ASSIGN_OR_RETURN(const auto name, text_argument(bound[0], ""));
  // Unlike a point, the filter does not look into a dict.
  if (input.is(Kind::dict) && !find_method(input, name)) {
    return Value::undefined(fmt::format("'dict object' has no attribute '{}'", name));
  }
  return attribute(environment, input, name);
}

constexpr std::array kFilters = std::to_array<FilterRow>({
    {"attr", attr},
    {"count", length},
    {"dictsort", dictsort},
    {"first", end_item<true>},
    {"items", items},
    {"join", join},
    {"last", end_item<false>},
    {"length", length},
    {"list", list},
    {"map", map},
    {"max", extreme<true>},
    {"min", extreme<false>},
    {"reject", chosen<false, false>},
    {"rejectattr", chosen<false, true>},
    {"reverse", reverse},
    {"select", chosen<true, false>},
    {"selectattr", chosen<true, true>},
    {"sort", sort},
    {"sum", sum},
    {"unique", unique},
});

}  // namespace

Builtin find_sequence_filter(std::string_view name) {
  return find_filter_row(kFilters, name);
}

}  // namespace edgellm::jinja
