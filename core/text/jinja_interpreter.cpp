#include "core/text/jinja_interpreter.h"

#include <fmt/format.h>

#include "core/text/jinja_lexer.h"

namespace edgellm::jinja {

using Node = Statement::Kind;

Result<std::string> Interpreter::run(const Body& program,
                                     std::vector<std::pair<std::string, Value>> variables) {
  scope_ = open_scope(nullptr);
  for (auto& [name, value] : variables) scope_->variables[name] = std::move(value);
  EDGELLM_RETURN_IF_ERROR(execute(program));
  return std::move(output_);
}

Error Interpreter::at(uint32_t offset, const Error& error) const {
  return error_at(source_, offset, error.message);
}

Scope* Interpreter::open_scope(Scope* around) {
  return &scopes_.emplace_back(Scope{around, {}});
}

Status Interpreter::write(std::string_view text) {
  if (output_.size() + text.size() > Environment::kMaxValueBytes) return Error{"the output is too large"};
  EDGELLM_RETURN_IF_ERROR(environment_.charge(text.size()));
  output_ += text;
  return {};
}

Result<Interpreter::Flow> Interpreter::execute(const Body& body) {
  if (++depth_ > kMaxDepth) return Error{"the template recurses too deeply"};
  Flow flow = Flow::onwards;
  for (const Statement& statement : body) {
    if (auto charged = environment_.charge(Environment::kStepCost); !charged.ok())
      return at(statement.offset, charged.error());
    EDGELLM_ASSIGN_OR_RETURN(flow, execute(statement));
    if (flow != Flow::onwards) break;
  }
  --depth_;
  return flow;
}

Result<Interpreter::Flow> Interpreter::execute(const Statement& statement) {
  switch (statement.kind) {
    case Node::text:
      if (auto written = write(statement.text); !written.ok()) return at(statement.offset, written.error());
      break;
    case Node::output: {
      EDGELLM_ASSIGN_OR_RETURN(const Value value, evaluate(*statement.value));
      auto text = to_text(environment_, value);
      if (!text.ok()) return at(statement.offset, text.error());
      if (auto written = write(*text); !written.ok()) return at(statement.offset, written.error());
      break;
    }
    case Node::branches:
      for (const Branch& branch : statement.branches) {
        if (branch.condition) {
          EDGELLM_ASSIGN_OR_RETURN(const Value condition, evaluate(*branch.condition));
          if (!condition.truthy()) continue;
        }
        return execute(branch.body);
      }
      break;
    case Node::loop:
      return execute_loop(statement);
    case Node::assign: {
      EDGELLM_ASSIGN_OR_RETURN(auto value, evaluate(*statement.value));
      EDGELLM_RETURN_IF_ERROR(assign(*statement.target, std::move(value)));
      break;
    }
    case Node::assign_block: {
      EDGELLM_ASSIGN_OR_RETURN(auto value, captured(statement));
      EDGELLM_RETURN_IF_ERROR(assign(*statement.target, std::move(value)));
      break;
    }
    case Node::filter_block: {
      EDGELLM_ASSIGN_OR_RETURN(const Value value, captured(statement));
      auto text = to_text(environment_, value);
      if (!text.ok()) return at(statement.offset, text.error());
      if (auto written = write(*text); !written.ok()) return at(statement.offset, written.error());
      break;
    }
    case Node::macro:
      EDGELLM_RETURN_IF_ERROR(define_macro(statement));
      break;
    case Node::call_block:
      EDGELLM_RETURN_IF_ERROR(execute_call_block(statement));
      break;
    case Node::scope:
      EDGELLM_RETURN_IF_ERROR(execute_scope(statement));
      break;
    case Node::group:
      return execute(statement.body);
    case Node::leave_loop:
      return Flow::leave_loop;
    case Node::next_item:
      return Flow::next_item;
  }
  return Flow::onwards;
}

Result<Interpreter::Flow> Interpreter::execute_loop(const Statement& statement) {
  EDGELLM_ASSIGN_OR_RETURN(const Value iterated, evaluate(*statement.value));
  auto items = iterate(environment_, iterated);
  if (!items.ok()) return at(statement.value->offset, items.error());
  Scope* around = scope_;
  if (statement.condition) {
    Items kept;
    for (Value& item : *items) {
      scope_ = open_scope(around);
      EDGELLM_RETURN_IF_ERROR(assign(*statement.target, item));
      EDGELLM_ASSIGN_OR_RETURN(const Value condition, evaluate(*statement.condition));
      if (condition.truthy()) kept.push_back(std::move(item));
    }
    scope_ = around;
    *items = std::move(kept);
  }
  if (items->empty()) return execute(statement.otherwise);
  Loop& loop = loops_.emplace_back(Loop{*std::move(items), 0});
  bool leave = false;
  for (; loop.index < loop.items.size() && !leave; ++loop.index) {
    EDGELLM_RETURN_IF_ERROR(execute_turn(statement, loop, around, leave));
  }
  if (loop.index == loop.items.size()) --loop.index;
  scope_ = around;
  return Flow::onwards;
}

Status Interpreter::execute_turn(const Statement& statement, Loop& loop, Scope* around, bool& leave) {
  if (auto charged = environment_.charge(2 * Environment::kStepCost); !charged.ok()) {
    return at(statement.offset, charged.error());
  }
  scope_ = open_scope(around);
  scope_->variables["loop"] = Value::of(&loop);
  EDGELLM_RETURN_IF_ERROR(assign(*statement.target, loop.items[loop.index]));
  EDGELLM_ASSIGN_OR_RETURN(const Flow flow, execute(statement.body));
  leave = flow == Flow::leave_loop;
  return {};
}

Status Interpreter::define_macro(const Statement& statement) {
  macros_.push_back({&statement, scope_});
  Callable macro;
  macro.name = statement.text;
  macro.macro = &macros_.back();
  scope_->variables[statement.text] = Value::of(std::make_shared<const Callable>(std::move(macro)));
  return {};
}

Status Interpreter::execute_call_block(const Statement& statement) {
  macros_.push_back({&statement, scope_});
  Callable caller;
  caller.name = "caller";
  caller.macro = &macros_.back();
  EDGELLM_ASSIGN_OR_RETURN(const Value callee, evaluate(*statement.value->parts[0]));
  EDGELLM_ASSIGN_OR_RETURN(auto arguments, evaluate_arguments(*statement.value));
  arguments.named.emplace_back("caller", Value::of(std::make_shared<const Callable>(std::move(caller))));
  if (!callee.is(Kind::callable) || !callee.as_callable().macro) {
    return at(statement.offset, Error{"a call block needs a macro"});
  }
  EDGELLM_ASSIGN_OR_RETURN(const Value text,
                           call_macro(statement.offset, *callee.as_callable().macro, std::move(arguments)));
  if (auto written = write(text.as_string()); !written.ok()) return at(statement.offset, written.error());
  return {};
}

Status Interpreter::execute_scope(const Statement& statement) {
  Scope* around = scope_;
  Scope* inside = open_scope(around);
  for (size_t i = 0; i < statement.assignments.size(); i += 2) {
    EDGELLM_ASSIGN_OR_RETURN(inside->variables[statement.assignments[i]->name],
                             evaluate(*statement.assignments[i + 1]));
  }
  scope_ = inside;
  EDGELLM_RETURN_IF_ERROR(execute(statement.body));
  scope_ = around;
  return {};
}

Result<std::string> Interpreter::output_of(const Body& body) {
  std::string outside = std::move(output_);
  output_.clear();
  EDGELLM_RETURN_IF_ERROR(execute(body));
  std::swap(outside, output_);
  return outside;
}

Result<Value> Interpreter::captured(const Statement& statement) {
  Scope* around = scope_;
  scope_ = open_scope(around);
  EDGELLM_ASSIGN_OR_RETURN(auto text, output_of(statement.body));
  scope_ = around;
  auto value = environment_.text(std::move(text));
  if (!value.ok()) return at(statement.offset, value.error());
  captured_ = *std::move(value);
  return evaluate(*statement.value);
}

Status Interpreter::assign(const Expression& target, Value value) {
  if (target.kind == Expression::Kind::name) {
    scope_->variables[target.name] = std::move(value);
    return {};
  }
  if (target.kind == Expression::Kind::attribute) {
    EDGELLM_ASSIGN_OR_RETURN(const Value object, evaluate_name(*target.parts[0]));
    if (!object.is(Kind::name_space)) {
      return at(target.offset, Error{fmt::format("cannot assign attribute on non-namespace object '{}'",
                                                 target.parts[0]->name)});
    }
    auto& attributes = object.as_namespace()->attributes;
    for (auto& [name, held] : attributes) {
      if (name == target.name) {
        held = std::move(value);
        return {};
      }
    }
    attributes.emplace_back(target.name, std::move(value));
    return {};
  }
  auto items = iterate(environment_, value);
  if (!items.ok()) return at(target.offset, items.error());
  if (items->size() != target.parts.size()) {
    return at(target.offset, Error{fmt::format("cannot unpack {} values into {} names", items->size(),
                                               target.parts.size())});
  }
  for (size_t i = 0; i < items->size(); ++i)
    EDGELLM_RETURN_IF_ERROR(assign(*target.parts[i], std::move((*items)[i])));
  return {};
}

Result<Value> Interpreter::call_macro(uint32_t offset, const MacroClosure& macro, Arguments arguments) {
  const Statement& definition = *macro.definition;
  const size_t n_parameters = definition.parameters.size();
  if (arguments.positional.size() > n_parameters) {
    return at(offset, Error{fmt::format("macro '{}' takes not more than {} arguments", definition.text,
                                        n_parameters)});
  }
  if (auto charged = environment_.charge(4 * Environment::kStepCost); !charged.ok())
    return at(offset, charged.error());
  Scope* caller_scope = std::exchange(scope_, open_scope(macro.around));
  Scope* inside = scope_;
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    inside->variables[definition.parameters[i].name] = std::move(arguments.positional[i]);
  }
  inside->variables["caller"] = Value::undefined("'caller' is undefined");
  for (auto& [name, value] : arguments.named) {
    bool known = name == "caller";
    for (size_t i = 0; i < n_parameters; ++i) {
      if (definition.parameters[i].name != name) continue;
      known = true;
      if (i < arguments.positional.size()) {
        return at(offset, Error{fmt::format("macro '{}' got two values for '{}'", definition.text, name)});
      }
    }
    if (!known)
      return at(offset, Error{fmt::format("macro '{}' takes no argument '{}'", definition.text, name)});
    inside->variables[name] = std::move(value);
  }
  for (const Parameter& parameter : definition.parameters) {
    if (inside->variables.contains(parameter.name)) continue;
    Value value = Value::undefined(fmt::format("parameter '{}' was not provided", parameter.name));
    if (parameter.otherwise) {
      EDGELLM_ASSIGN_OR_RETURN(value, evaluate(*parameter.otherwise));
    }
    inside->variables[parameter.name] = std::move(value);
  }
  EDGELLM_ASSIGN_OR_RETURN(auto text, output_of(definition.body));
  scope_ = caller_scope;
  auto value = environment_.text(std::move(text));
  if (!value.ok()) return at(offset, value.error());
  return value;
}

}  // namespace edgellm::jinja
