// What chat templates find ready made: filters, tests, global functions, the methods of texts, lists and
// dicts.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "core/text/jinja_value.h"

namespace edgellm::jinja {

using Builtin = Result<Value> (*)(Environment& environment, const Value& input, const Arguments& arguments);

// Null for an unknown name. A test gives a boolean. A function takes no notice of `input`.
Builtin find_filter(std::string_view name);
Builtin find_test(std::string_view name);
Builtin find_function(std::string_view name);
Builtin find_method(const Value& self, std::string_view name);

// Sorts positional and named arguments to the parameters; Error for one too many, an unknown name, or a
// missing one of the first n_required.
Result<std::vector<std::optional<Value>>> bind(const Arguments& arguments,
                                               std::initializer_list<std::string_view> parameters,
                                               size_t n_required = 0);
// An argument as the kind a function needs, `otherwise` where it was not given (an integer also where it is
// none).
Result<std::string> text_argument(const std::optional<Value>& argument, std::string_view otherwise);
Result<int64_t> integer_argument(const std::optional<Value>& argument, int64_t otherwise);

// format % arguments (one value, or a tuple), and format.format(arguments).
Result<std::string> percent_format(Environment& environment, std::string_view format, const Items& values);
Result<std::string> brace_format(Environment& environment, std::string_view format,
                                 const Arguments& arguments);

}  // namespace edgellm::jinja
