// Operators, subscripts and attributes of chat-template values, with Python's rules.
#pragma once

#include <optional>
#include <string_view>

#include "core/text/jinja_value.h"

namespace edgellm::jinja {

// + - * / // % **. Integers outside of 64 bits are an Error.
Result<Value> arithmetic(Environment& environment, std::string_view name, const Value& left,
                         const Value& right);
// == != < <= > >= in, not in.
Result<bool> comparison(Environment& environment, std::string_view name, const Value& left,
                        const Value& right);
// object.name and object[key]: undefined where there is none.
Result<Value> attribute(Environment& environment, const Value& object, std::string_view name);
Result<Value> subscript(Environment& environment, const Value& object, const Value& key);
struct Slice {
  std::optional<int64_t> start, stop, step;
};
Result<Value> slice(Environment& environment, const Value& object, const Slice& slice);

}  // namespace edgellm::jinja
