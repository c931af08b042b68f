// The methods of texts, lists, dicts and loops that chat templates call.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "core/text/jinja_library.h"
#include "core/text/jinja_operators.h"
#include "core/text/jinja_text.h"

namespace edgellm::jinja {
namespace {

constexpr size_t npos = std::string_view::npos;

// A change of a text that takes no arguments.
template <std::string (*change)(std::string_view)>
Result<Value> changed(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  EDGELLM_RETURN_IF_ERROR(environment.charge(4 * self.weight()));
  return environment.text(change(self.as_string()));
}

template <bool left, bool right>
Result<Value> strip(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"chars"}));
  std::string characters;
  const bool given = bound[0] && !bound[0]->is(Kind::none);
  if (given) {
    EDGELLM_ASSIGN_OR_RETURN(characters, text_argument(bound[0], ""));
    if (characters.empty()) return self;
  }
  EDGELLM_RETURN_IF_ERROR(
      environment.charge(self.weight() + characters.size() * (given ? self.weight() / 64 + 1 : 0)));
  std::string_view text = self.as_string();
  if (left) text = strip_left(text, characters);
  if (right) text = strip_right(text, characters);
  return environment.text(std::string(text));
}

Result<Value> texts(Environment& environment, const std::vector<std::string_view>& parts) {
  Items items;
  for (std::string_view part : parts) {
    EDGELLM_ASSIGN_OR_RETURN(auto item, environment.text(std::string(part)));
    items.push_back(std::move(item));
  }
  return environment.list(std::move(items));
}

std::vector<std::string_view> split_at_spaces(std::string_view text, size_t most, bool from_right) {
  std::vector<std::string_view> parts;
  text = from_right ? strip_right(text) : strip_left(text);
  while (!text.empty() && parts.size() < most) {
    const auto characters_end = [&] {
      size_t n_bytes = 0;
      while (n_bytes < text.size()) {
        // One code point from the left, or from the right.
        size_t length = 1;
        const auto at = [&](size_t i) {
          return static_cast<unsigned char>(from_right ? text[text.size() - 1 - i] : text[i]);
        };
        const auto is_inner = [&](size_t i) { return (at(i) & 0xc0) == 0x80; };
        if (from_right) {
          while (is_inner(n_bytes + length - 1) && length < 4 && n_bytes + length < text.size()) ++length;
        } else {
          while (n_bytes + length < text.size() && is_inner(n_bytes + length) && length < 4) ++length;
        }
        const size_t start = from_right ? text.size() - n_bytes - length : n_bytes;
        if (is_space(text.substr(start, length))) break;
        n_bytes += length;
      }
      return n_bytes;
    };
    const size_t n_bytes = characters_end();
    if (from_right) {
      parts.push_back(text.substr(text.size() - n_bytes));
      text = strip_right(text.substr(0, text.size() - n_bytes));
    } else {
      parts.push_back(text.substr(0, n_bytes));
      text = strip_left(text.substr(n_bytes));
    }
  }
  if (!text.empty()) parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool from_right>
Result<Value> split(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"sep", "maxsplit"}));
  EDGELLM_ASSIGN_OR_RETURN(const int64_t maximum, integer_argument(bound[1], -1));
  EDGELLM_RETURN_IF_ERROR(environment.charge(4 * self.weight()));
  const size_t most = maximum < 0 ? npos : static_cast<size_t>(maximum);
  std::string_view text = self.as_string();
  if (!bound[0] || bound[0]->is(Kind::none))
    return texts(environment, split_at_spaces(text, most, from_right));
  EDGELLM_ASSIGN_OR_RETURN(const std::string separator, text_argument(bound[0], ""));
  if (separator.empty()) return Error{"empty separator"};
  std::vector<size_t> places;
  if (from_right) {
    // No search from the right is linear for hostile texts; each step looks at most one separator further.
    EDGELLM_RETURN_IF_ERROR(
        environment.charge(text.size() * std::min<size_t>(separator.size(), text.size()) / 8));
    for (size_t end = text.size(); places.size() < most && end >= separator.size();) {
      const size_t place = text.substr(0, end).rfind(separator);
      if (place == npos) break;
      places.push_back(place);
      end = place;
    }
    std::reverse(places.begin(), places.end());
  } else {
    for (size_t place = find_text(text, separator); place != npos && places.size() < most;
         place = find_text(text, separator, place + separator.size())) {
      places.push_back(place);
    }
  }
  std::vector<std::string_view> parts;
  size_t start = 0;
  for (size_t place : places) {
    parts.push_back(text.substr(start, place - start));
    start = place + separator.size();
  }
  parts.push_back(text.substr(start));
  return texts(environment, parts);
}

Result<Value> split_lines(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"keepends"}));
  const bool keep = bound[0] && bound[0]->truthy();
  EDGELLM_RETURN_IF_ERROR(environment.charge(4 * self.weight()));
  return texts(environment, lines_of(self.as_string(), keep));
}

template <bool at_end>
Result<Value> begins_or_ends(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"prefix"}, 1));
  const Items wanted = bound[0]->is(Kind::tuple) ? bound[0]->items() : Items{*bound[0]};
  for (const Value& each : wanted) {
    if (!each.is(Kind::string))
      return Error{fmt::format("a str or a tuple of str expected, got {}", type_name(each))};
    EDGELLM_RETURN_IF_ERROR(environment.charge(each.weight()));
    const std::string& text = self.as_string();
    if (at_end ? text.ends_with(each.as_string()) : text.starts_with(each.as_string()))
      return Value::boolean(true);
  }
  return Value::boolean(false);
}

// Positions of find, index and count are in code points; the search is in bytes between them.
struct SearchRange {
  std::string_view text;
  int64_t first = 0;
};

Result<SearchRange> search_range(Environment& environment, const Value& self,
                                 const std::vector<std::optional<Value>>& bound) {
  EDGELLM_RETURN_IF_ERROR(environment.charge(4 * self.weight()));
  const auto length = static_cast<int64_t>(n_code_points(self.as_string()));
  EDGELLM_ASSIGN_OR_RETURN(int64_t first, integer_argument(bound[1], 0));
  EDGELLM_ASSIGN_OR_RETURN(int64_t last, integer_argument(bound[2], length));
  const auto from_start = [&](int64_t position) {
    return position < 0 ? std::max<int64_t>(position + length, 0) : position;
  };
  first = from_start(std::max(first, -length));
  last = std::min(from_start(std::max(last, -length)), length);
  if (first > last) return SearchRange{{}, -1};
  if (first == 0 && last == length) return SearchRange{self.as_string(), 0};
  const auto characters = code_points(self.as_string());
  const char* begin = self.as_string().data();
  const char* end = begin + self.as_string().size();
  const char* from = first < length ? characters[static_cast<size_t>(first)].data() : end;
  const char* to = last < length ? characters[static_cast<size_t>(last)].data() : end;
  return SearchRange{std::string_view(from, static_cast<size_t>(to - from)), first};
}

template <bool from_right, bool must_exist>
Result<Value> position_of(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"sub", "start", "end"}, 1));
  EDGELLM_ASSIGN_OR_RETURN(const std::string part, text_argument(bound[0], ""));
  EDGELLM_ASSIGN_OR_RETURN(const SearchRange range, search_range(environment, self, bound));
  if (from_right)
    EDGELLM_RETURN_IF_ERROR(
        environment.charge(range.text.size() * std::min(part.size(), range.text.size()) / 8));
  const size_t place = range.first < 0 ? npos
                       : from_right    ? range.text.rfind(part)
                                       : find_text(range.text, part);
  if (place == npos) return must_exist ? Result<Value>(Error{"substring not found"}) : Value::integer(-1);
  return Value::integer(range.first + static_cast<int64_t>(n_code_points(range.text.substr(0, place))));
}

Result<Value> count(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"sub", "start", "end"}, 1));
  EDGELLM_ASSIGN_OR_RETURN(const std::string part, text_argument(bound[0], ""));
  EDGELLM_ASSIGN_OR_RETURN(const SearchRange range, search_range(environment, self, bound));
  if (range.first < 0) return Value::integer(0);
  if (part.empty()) return Value::integer(static_cast<int64_t>(n_code_points(range.text)) + 1);
  int64_t n_found = 0;
  for (size_t place = find_text(range.text, part); place != npos;
       place = find_text(range.text, part, place + part.size()))
    ++n_found;
  return Value::integer(n_found);
}

Result<Value> replace(Environment& environment, const Value& self, const Arguments& arguments) {
  return find_filter("replace")(environment, self, arguments);
}

Result<Value> join(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"iterable"}, 1));
  EDGELLM_ASSIGN_OR_RETURN(const Items items, iterate(environment, *bound[0]));
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is(Kind::string)) {
      return Error{fmt::format("sequence item {}: expected str instance, {} found", i, type_name(items[i]))};
    }
    EDGELLM_RETURN_IF_ERROR(environment.charge(self.weight() + items[i].weight()));
    if (i > 0) text += self.as_string();
    text += items[i].as_string();
  }
  return environment.text(std::move(text));
}

Result<Value> format(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(auto text, brace_format(environment, self.as_string(), arguments));
  return environment.text(std::move(text));
}

template <bool at_end>
Result<Value> remove_affix(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"affix"}, 1));
  EDGELLM_ASSIGN_OR_RETURN(const std::string affix, text_argument(bound[0], ""));
  std::string_view text = self.as_string();
  if (at_end && text.ends_with(affix)) text.remove_suffix(affix.size());
  if (!at_end && text.starts_with(affix)) text.remove_prefix(affix.size());
  return environment.text(std::string(text));
}

template <bool (*holds)(std::string_view)>
Result<Value> all_are(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  EDGELLM_RETURN_IF_ERROR(environment.charge(16 * self.weight()));
  const auto characters = code_points(self.as_string());
  return Value::boolean(!characters.empty() && std::all_of(characters.begin(), characters.end(), holds));
}

bool is_letter_or_digit(std::string_view code_point) {
  return is_letter(code_point) || is_digit(code_point);
}

template <const char* test>
Result<Value> as_test(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_RETURN_IF_ERROR(environment.charge(16 * self.weight()));
  return find_test(test)(environment, self, arguments);
}
constexpr char kUpper[] = "upper", kLower[] = "lower";

Result<Value> get(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"key", "default"}, 1));
  EDGELLM_RETURN_IF_ERROR(environment.charge(bound[0]->weight() + 16 * self.as_dict().entries.size()));
  const Value* value = self.as_dict().find(*bound[0]);
  return value ? *value : bound[1].value_or(Value::none());
}

Result<Value> items(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  Items pairs;
  for (const auto& [key, value] : self.as_dict().entries) {
    EDGELLM_ASSIGN_OR_RETURN(auto pair, environment.tuple({key, value}));
    pairs.push_back(std::move(pair));
  }
  return environment.list(std::move(pairs));
}

template <bool of_keys>
Result<Value> side(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {}));
  Items values;
  for (const auto& [key, value] : self.as_dict().entries) values.push_back(of_keys ? key : value);
  return environment.list(std::move(values));
}

Result<Value> copy(Environment&, const Value& self, const Arguments&) {
  return self;
}

Result<Value> list_index(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"value"}, 1));
  EDGELLM_RETURN_IF_ERROR(environment.charge(self.weight()));
  const auto found = std::find_if(self.items().begin(), self.items().end(),
                                  [&](const Value& item) { return equal(item, *bound[0]); });
  if (found == self.items().end()) return Error{"the value is not in the list"};
  return Value::integer(found - self.items().begin());
}

Result<Value> list_count(Environment& environment, const Value& self, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"value"}, 1));
  EDGELLM_RETURN_IF_ERROR(environment.charge(self.weight()));
  return Value::integer(std::count_if(self.items().begin(), self.items().end(),
                                      [&](const Value& item) { return equal(item, *bound[0]); }));
}

Result<Value> cycle(Environment&, const Value& self, const Arguments& arguments) {
  if (arguments.positional.empty()) return Error{"no items for cycling given"};
  return arguments.positional[self.as_loop().index % arguments.positional.size()];
}

struct Row {
  std::string_view name;
  Builtin method;
};
constexpr std::array kTextMethods = std::to_array<Row>({
    {"capitalize", changed<capitalize>},
    {"count", count},
    {"endswith", begins_or_ends<true>},
    {"find", position_of<false, false>},
    {"format", format},
    {"index", position_of<false, true>},
    {"isalnum", all_are<is_letter_or_digit>},
    {"isalpha", all_are<is_letter>},
    {"isdigit", all_are<is_digit>},
    {"islower", as_test<kLower>},
    {"isspace", all_are<is_space>},
    {"isupper", as_test<kUpper>},
    {"join", join},
    {"lower", changed<lower>},
    {"lstrip", strip<true, false>},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"replace", replace},
    {"rfind", position_of<true, false>},
    {"rsplit", split<true>},
    {"rstrip", strip<false, true>},
    {"split", split<false>},
    {"splitlines", split_lines},
    {"startswith", begins_or_ends<false>},
    {"strip", strip<true, true>},
    {"title", changed<title_by_letters>},
    {"upper", changed<upper>},
});
constexpr std::array kDictMethods = std::to_array<Row>({
    {"copy", copy},
    {"get", get},
    {"items", items},
    {"keys", side<true>},
    {"values", side<false>},
});
constexpr std::array kListMethods = std::to_array<Row>({
    {"copy", copy},
    {"count", list_count},
    {"index", list_index},
});
constexpr std::array kLoopMethods = std::to_array<Row>({
    {"cycle", cycle},
});

template <size_t n>
Builtin find_row(const std::array<Row, n>& rows, std::string_view name) {
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& each) { return each.name == name; });
  return row == rows.end() ? nullptr : row->method;
}

}  // namespace

Builtin find_method(const Value& self, std::string_view name) {
  switch (self.kind()) {
    case Kind::string:
      return find_row(kTextMethods, name);
    case Kind::dict:
      return find_row(kDictMethods, name);
    case Kind::list:
    case Kind::tuple:
      return find_row(kListMethods, name);
    case Kind::loop:
      return find_row(kLoopMethods, name);
    default:
      return nullptr;
  }
}

}  // namespace edgellm::jinja
