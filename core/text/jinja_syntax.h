// The syntax tree of a chat template.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/text/jinja_value.h"

namespace edgellm::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  enum class Kind : uint8_t {
    constant,
    captured,  // the text of the block that a filter chain is applied to
    name,
    list,
    tuple,       // parts: items
    dict,        // parts: key, value, key, value, ...
    attribute,   // parts: object; name
    subscript,   // parts: object, index
    slice,       // parts: start, stop, step; null where left out
    call,        // parts: what is called; arguments
    filter,      // parts: input; name, arguments
    test,        // parts: input; name, arguments
    negation,    // parts: operand of `not`
    sign,        // parts: operand; name is + or -
    arithmetic,  // parts: left, right; name is the operator
    both,
    either,       // parts: left, right of `and`, `or`
    comparison,   // parts: operands; operators between them
    join,         // parts: operands of ~
    conditional,  // parts: value, condition, other value (null where left out)
  };
  Kind kind = Kind::constant;
  uint32_t offset = 0;  // in the template, for errors
  size_t depth = 1;
  Value constant;
  std::string name;
  std::vector<ExpressionPtr> parts;
  std::vector<std::string> operators;
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
};

struct Statement;
using Body = std::vector<Statement>;

struct Parameter {
  std::string name;
  ExpressionPtr otherwise;  // null: none
};

struct Branch {
  ExpressionPtr condition;  // null: else
  Body body;
};

struct Statement {
  enum class Kind : uint8_t {
    text,          // text
    output,        // value
    branches,      // if, elif, else
    loop,          // for target in value if condition; body; otherwise
    assign,        // set target = value
    assign_block,  // set target; body; value is the filter chain over the captured text
    macro,         // text is the name; parameters; body
    call_block,    // value is the call; parameters; body is the caller
    filter_block,  // value is the filter chain over the captured text; body
    scope,         // with: assignments (target and value in turn); body
    group,         // generation: body
    leave_loop,
    next_item,
  };
  Kind kind = Kind::text;
  uint32_t offset = 0;
  std::string text;
  ExpressionPtr target, value, condition;
  std::vector<Branch> branches;
  std::vector<Parameter> parameters;
  std::vector<ExpressionPtr> assignments;
  Body body, otherwise;
};

// `source` has been through normalize_line_ends.
Result<Body> parse_template(std::string_view source);

}  // namespace edgellm::jinja
