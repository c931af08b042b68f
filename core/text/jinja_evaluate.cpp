// The expressions of chat templates.
#include <fmt/format.h>

#include "core/text/jinja_interpreter.h"
#include "core/text/jinja_operators.h"

namespace edgellm::jinja {

using Node = Expression::Kind;

Result<Value> Interpreter::evaluate(const Expression& expression) {
  if (++depth_ > kMaxDepth) return at(expression.offset, Error{"the template recurses too deeply"});
  if (auto charged = environment_.charge(Environment::kStepCost); !charged.ok())
    return at(expression.offset, charged.error());
  auto value = evaluate_here(expression);
  --depth_;
  return value;
}

Result<Value> Interpreter::evaluate_here(const Expression& expression) {
  switch (expression.kind) {
    case Node::constant:
      return expression.constant;
    case Node::captured:
      return captured_;
    case Node::name:
      return evaluate_name(expression);
    case Node::list:
    case Node::tuple:
      return evaluate_items(expression);
    case Node::dict:
      return evaluate_dict(expression);
    case Node::attribute: {
      EDGELLM_ASSIGN_OR_RETURN(const Value object, evaluate(*expression.parts[0]));
      auto value = attribute(environment_, object, expression.name);
      if (!value.ok()) return at(expression.offset, value.error());
      return value;
    }
    case Node::subscript:
      return evaluate_subscript(expression);
    case Node::slice:
      return at(expression.offset, Error{"a slice outside of a subscript"});
    case Node::call:
      return evaluate_call(expression);
    case Node::filter:
    case Node::test:
      return evaluate_filter_or_test(expression);
    case Node::negation: {
      EDGELLM_ASSIGN_OR_RETURN(const Value operand, evaluate(*expression.parts[0]));
      return Value::boolean(!operand.truthy());
    }
    case Node::sign: {
      EDGELLM_ASSIGN_OR_RETURN(const Value operand, evaluate(*expression.parts[0]));
      const Value zero =
          operand.is(Kind::real) ? Value::real(expression.name == "-" ? -0.0 : 0.0) : Value::integer(0);
      auto value = arithmetic(environment_, expression.name, zero, operand);
      if (!value.ok()) return at(expression.offset, value.error());
      return value;
    }
    case Node::arithmetic: {
      EDGELLM_ASSIGN_OR_RETURN(const Value left, evaluate(*expression.parts[0]));
      EDGELLM_ASSIGN_OR_RETURN(const Value right, evaluate(*expression.parts[1]));
      auto value = arithmetic(environment_, expression.name, left, right);
      if (!value.ok()) return at(expression.offset, value.error());
      return value;
    }
    case Node::both:
    case Node::either: {
      EDGELLM_ASSIGN_OR_RETURN(auto left, evaluate(*expression.parts[0]));
      if (left.truthy() == (expression.kind == Node::either)) return left;
      return evaluate(*expression.parts[1]);
    }
    case Node::comparison:
      return evaluate_comparison(expression);
    case Node::join:
      return evaluate_join(expression);
    case Node::conditional: {
      EDGELLM_ASSIGN_OR_RETURN(const Value condition, evaluate(*expression.parts[1]));
      if (condition.truthy()) return evaluate(*expression.parts[0]);
      if (expression.parts[2]) return evaluate(*expression.parts[2]);
      return Value::undefined("the inline if-expression evaluated to false and no else section was defined");
    }
  }
  return Value();
}

Result<Value> Interpreter::evaluate_name(const Expression& expression) {
  for (const Scope* scope = scope_; scope; scope = scope->around) {
    if (const auto found = scope->variables.find(expression.name); found != scope->variables.end())
      return found->second;
  }
  if (find_function(expression.name)) {
    Callable function;
    function.name = expression.name;
    return Value::of(std::make_shared<const Callable>(std::move(function)));
  }
  return Value::undefined(fmt::format("'{}' is undefined", expression.name));
}

Result<Value> Interpreter::evaluate_items(const Expression& expression) {
  Items items;
  for (const auto& part : expression.parts) {
    EDGELLM_ASSIGN_OR_RETURN(auto item, evaluate(*part));
    items.push_back(std::move(item));
  }
  auto value = expression.kind == Node::list ? environment_.list(std::move(items))
                                             : environment_.tuple(std::move(items));
  if (!value.ok()) return at(expression.offset, value.error());
  return value;
}

Result<Value> Interpreter::evaluate_dict(const Expression& expression) {
  Entries entries;
  for (size_t i = 0; i < expression.parts.size(); i += 2) {
    EDGELLM_ASSIGN_OR_RETURN(auto key, evaluate(*expression.parts[i]));
    EDGELLM_ASSIGN_OR_RETURN(auto value, evaluate(*expression.parts[i + 1]));
    entries.emplace_back(std::move(key), std::move(value));
  }
  auto value = environment_.dict(std::move(entries));
  if (!value.ok()) return at(expression.offset, value.error());
  return value;
}

Result<Value> Interpreter::evaluate_subscript(const Expression& expression) {
  EDGELLM_ASSIGN_OR_RETURN(const Value object, evaluate(*expression.parts[0]));
  const Expression& index = *expression.parts[1];
  Result<Value> value = Value();
  if (index.kind == Node::slice) {
    Slice bounds;
    std::optional<int64_t>* const held[] = {&bounds.start, &bounds.stop, &bounds.step};
    for (size_t i = 0; i < 3; ++i) {
      if (!index.parts[i]) continue;
      EDGELLM_ASSIGN_OR_RETURN(const Value bound, evaluate(*index.parts[i]));
      if (bound.is(Kind::none)) continue;
      if (!bound.is_integral())
        return at(index.parts[i]->offset, Error{"slice indices must be integers or none"});
      *held[i] = bound.as_integer();
    }
    value = slice(environment_, object, bounds);
  } else {
    EDGELLM_ASSIGN_OR_RETURN(const Value key, evaluate(index));
    value = subscript(environment_, object, key);
  }
  if (!value.ok()) return at(expression.offset, value.error());
  return value;
}

Result<Value> Interpreter::evaluate_comparison(const Expression& expression) {
  EDGELLM_ASSIGN_OR_RETURN(Value left, evaluate(*expression.parts[0]));
  for (size_t i = 0; i < expression.operators.size(); ++i) {
    EDGELLM_ASSIGN_OR_RETURN(Value right, evaluate(*expression.parts[i + 1]));
    const auto holds = comparison(environment_, expression.operators[i], left, right);
    if (!holds.ok()) return at(expression.offset, holds.error());
    if (!*holds) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Result<Value> Interpreter::evaluate_join(const Expression& expression) {
  std::string text;
  for (const auto& part : expression.parts) {
    EDGELLM_ASSIGN_OR_RETURN(const Value operand, evaluate(*part));
    auto piece = to_text(environment_, operand);
    if (!piece.ok()) return at(part->offset, piece.error());
    text += *piece;
  }
  auto value = environment_.text(std::move(text));
  if (!value.ok()) return at(expression.offset, value.error());
  return value;
}

Result<Value> Interpreter::evaluate_filter_or_test(const Expression& expression) {
  const bool is_filter = expression.kind == Node::filter;
  const Builtin builtin = is_filter ? find_filter(expression.name) : find_test(expression.name);
  if (!builtin) {
    return at(expression.offset,
              Error{fmt::format("unknown {} '{}'", is_filter ? "filter" : "test", expression.name)});
  }
  EDGELLM_ASSIGN_OR_RETURN(const Value input, evaluate(*expression.parts[0]));
  EDGELLM_ASSIGN_OR_RETURN(const Arguments arguments, evaluate_arguments(expression));
  auto value = builtin(environment_, input, arguments);
  if (!value.ok()) return at(expression.offset, value.error());
  return value;
}

Result<Arguments> Interpreter::evaluate_arguments(const Expression& expression) {
  Arguments arguments;
  for (const auto& part : expression.positional) {
    EDGELLM_ASSIGN_OR_RETURN(auto value, evaluate(*part));
    arguments.positional.push_back(std::move(value));
  }
  for (const auto& [name, part] : expression.named) {
    EDGELLM_ASSIGN_OR_RETURN(auto value, evaluate(*part));
    arguments.named.emplace_back(name, std::move(value));
  }
  return arguments;
}

Result<Value> Interpreter::evaluate_call(const Expression& expression) {
  const Expression& called = *expression.parts[0];
  EDGELLM_ASSIGN_OR_RETURN(const Value callee, evaluate(called));
  if (!callee.is(Kind::callable)) {
    const bool unknown = called.kind == Node::name && callee.is_undefined();
    const std::string what = unknown ? fmt::format("unknown function '{}'", called.name)
                             : callee.is_undefined()
                                 ? callee.undefined_message()
                                 : fmt::format("'{}' object is not callable", type_name(callee));
    return at(called.offset, Error{what});
  }
  EDGELLM_ASSIGN_OR_RETURN(auto arguments, evaluate_arguments(expression));
  const Callable& callable = callee.as_callable();
  if (callable.macro) return call_macro(expression.offset, *callable.macro, std::move(arguments));
  const Builtin builtin =
      callable.is_method ? find_method(callable.self, callable.name) : find_function(callable.name);
  auto value = builtin(environment_, callable.self, arguments);
  if (!value.ok()) return at(called.offset, value.error());
  return value;
}

}  // namespace edgellm::jinja
