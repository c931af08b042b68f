// Global functions of chat templates, and how built-in functions read their arguments.
#include <algorithm>
#include <array>
#include <ctime>
#include <fmt/format.h>

#include "core/text/jinja_library.h"

namespace edgellm::jinja {

Result<std::vector<std::optional<Value>>> bind(const Arguments& arguments,
                                               std::initializer_list<std::string_view> parameters,
                                               size_t n_required) {
  std::vector<std::optional<Value>> bound(parameters.size());
  if (arguments.positional.size() > parameters.size()) {
    return Error{fmt::format("{} arguments given where at most {} are taken", arguments.positional.size(),
                             parameters.size())};
  }
  std::copy(arguments.positional.begin(), arguments.positional.end(), bound.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end()) return Error{fmt::format("unknown argument '{}'", name)};
    bound[static_cast<size_t>(found - parameters.begin())] = value;
  }
  for (size_t i = 0; i < n_required; ++i) {
    if (!bound[i]) return Error{fmt::format("argument '{}' is missing", parameters.begin()[i])};
  }
  return bound;
}

Result<std::string> text_argument(const std::optional<Value>& argument, std::string_view otherwise) {
  if (!argument) return std::string(otherwise);
  if (argument->is_undefined()) return Error{argument->undefined_message()};
  if (!argument->is(Kind::string))
    return Error{fmt::format("a str argument expected, got {}", type_name(*argument))};
  return argument->as_string();
}

Result<int64_t> integer_argument(const std::optional<Value>& argument, int64_t otherwise) {
  if (!argument || argument->is(Kind::none)) return otherwise;
  if (argument->is_undefined()) return Error{argument->undefined_message()};
  if (!argument->is_integral())
    return Error{fmt::format("an int argument expected, got {}", type_name(*argument))};
  return argument->as_integer();
}

namespace {

Result<Value> range(Environment& environment, const Value&, const Arguments& arguments) {
  constexpr int64_t kMost = 100'000;  // as Jinja's sandbox
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"start", "stop", "step"}, 1));
  EDGELLM_ASSIGN_OR_RETURN(const int64_t first, integer_argument(bound[0], 0));
  EDGELLM_ASSIGN_OR_RETURN(const int64_t second, integer_argument(bound[1], 0));
  EDGELLM_ASSIGN_OR_RETURN(const int64_t step, integer_argument(bound[2], 1));
  const int64_t start = bound[1] ? first : 0;
  const int64_t stop = bound[1] ? second : first;
  if (step == 0) return Error{"range step cannot be zero"};
  Items items;
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<int64_t>(items.size()) >= kMost)
      return Error{fmt::format("range gives more than {} numbers", kMost)};
    items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return environment.list(std::move(items));
}

// dict(other, key=value) and namespace(other, key=value).
Result<Entries> merged_entries(const Arguments& arguments) {
  Entries entries;
  if (arguments.positional.size() > 1) return Error{"at most one argument without a name is taken"};
  if (!arguments.positional.empty()) {
    const Value& other = arguments.positional[0];
    if (other.is(Kind::dict)) {
      entries = other.as_dict().entries;
    } else if (other.is_sequence()) {
      for (const Value& pair : other.items()) {
        if (!pair.is_sequence() || pair.items().size() != 2) return Error{"a list of pairs expected"};
        entries.emplace_back(pair.items()[0], pair.items()[1]);
      }
    } else {
      return Error{fmt::format("'{}' object is no dict", type_name(other))};
    }
  }
  for (const auto& [name, value] : arguments.named) entries.emplace_back(Value::string(name), value);
  return entries;
}

Result<Value> make_dict(Environment& environment, const Value&, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(auto entries, merged_entries(arguments));
  return environment.dict(std::move(entries));
}

Result<Value> make_namespace(Environment& environment, const Value&, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(auto entries, merged_entries(arguments));
  EDGELLM_RETURN_IF_ERROR(environment.charge(4 * Environment::kStepCost + 64 * entries.size()));
  std::vector<std::pair<std::string, Value>> attributes;
  for (auto& [key, value] : entries) {
    if (!key.is(Kind::string)) return Error{"the attributes of a namespace are named by texts"};
    std::erase_if(attributes, [&](const auto& attribute) { return attribute.first == key.as_string(); });
    EDGELLM_RETURN_IF_ERROR(environment.charge(8 * attributes.size()));
    attributes.emplace_back(key.as_string(), std::move(value));
  }
  return environment.make_namespace(std::move(attributes));
}

Result<Value> raise_exception(Environment& environment, const Value&, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"message"}, 1));
  EDGELLM_ASSIGN_OR_RETURN(auto message, to_text(environment, *bound[0]));
  return Error{std::move(message)};
}

Result<Value> strftime_now(Environment& environment, const Value&, const Arguments& arguments) {
  EDGELLM_ASSIGN_OR_RETURN(const auto bound, bind(arguments, {"format"}, 1));
  EDGELLM_ASSIGN_OR_RETURN(const auto format, text_argument(bound[0], ""));
  const std::time_t now =
      environment.now() != 0 ? static_cast<std::time_t>(environment.now()) : std::time(nullptr);
  std::tm local{};
  if (!localtime_r(&now, &local)) return Error{"the time of now is out of range"};
  if (format.empty()) return environment.text("");
  // A letter is put first since an empty result and one that does not fit both give 0.
  std::array<char, 1024> buffer{};
  const size_t n_bytes = std::strftime(buffer.data(), buffer.size(), ("x" + format).c_str(), &local);
  if (n_bytes == 0) return Error{"the formatted time is too long"};
  return environment.text(std::string(buffer.data() + 1, n_bytes - 1));
}

struct Row {
  std::string_view name;
  Builtin function;
};
constexpr std::array kFunctions = std::to_array<Row>({
    {"dict", make_dict},
    {"namespace", make_namespace},
    {"raise_exception", raise_exception},
    {"range", range},
    {"strftime_now", strftime_now},
});

}  // namespace

Builtin find_function(std::string_view name) {
  const auto row =
      std::find_if(kFunctions.begin(), kFunctions.end(), [&](const Row& each) { return each.name == name; });
  return row == kFunctions.end() ? nullptr : row->function;
}

}  // namespace edgellm::jinja
