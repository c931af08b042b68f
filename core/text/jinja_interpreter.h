// Runs the syntax tree of a chat template.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/text/jinja_library.h"
#include "core/text/jinja_syntax.h"
#include "core/text/jinja_value.h"

namespace edgellm::jinja {

// The variables of a loop's turn, a macro's call or a `with` block; those around it are seen through it.
struct Scope {
  Scope* around = nullptr;
  std::unordered_map<std::string, Value> variables;
};

struct MacroClosure {
  const Statement* definition = nullptr;
  Scope* around = nullptr;
};

class Interpreter {
 public:
  // `source` is for the lines and columns of errors. Both it and `environment` must outlive the interpreter.
  Interpreter(std::string_view source, Environment& environment)
      : source_(source), environment_(environment) {}

  Result<std::string> run(const Body& program, std::vector<std::pair<std::string, Value>> variables);

 private:
  enum class Flow { onwards, leave_loop, next_item };
  // Deep enough for real templates; such a run was seen to need under 512 KiB of stack, 2 MiB with
  // sanitizers.
  static constexpr size_t kMaxDepth = 500;

  Result<Flow> execute(const Body& body);
  Result<Flow> execute(const Statement& statement);
  Result<Flow> execute_loop(const Statement& statement);
  Status execute_turn(const Statement& statement, Loop& loop, Scope* around, bool& leave);
  Status define_macro(const Statement& statement);
  Status execute_call_block(const Statement& statement);
  Status execute_scope(const Statement& statement);
  Result<Value> captured(
      const Statement& statement);  // the value of `statement.value` over the text of its body
  Result<std::string> output_of(const Body& body);
  Status assign(const Expression& target, Value value);
  Status write(std::string_view text);

  Result<Value> evaluate(const Expression& expression);
  Result<Value> evaluate_here(const Expression& expression);
  Result<Value> evaluate_name(const Expression& expression);
  Result<Value> evaluate_items(const Expression& expression);
  Result<Value> evaluate_dict(const Expression& expression);
  Result<Value> evaluate_subscript(const Expression& expression);
  Result<Value> evaluate_comparison(const Expression& expression);
  Result<Value> evaluate_join(const Expression& expression);
  Result<Value> evaluate_filter_or_test(const Expression& expression);
  Result<Value> evaluate_call(const Expression& expression);
  Result<Arguments> evaluate_arguments(const Expression& expression);
  Result<Value> call_macro(uint32_t offset, const MacroClosure& macro, Arguments arguments);

  Scope* open_scope(Scope* around);
  Error at(uint32_t offset, const Error& error) const;

  std::string_view source_;
  Environment& environment_;
  std::deque<Scope> scopes_;  // kept to the end of the run: macros refer to theirs
  std::deque<Loop> loops_;    // likewise: a loop's variable can be kept in a namespace
  std::deque<MacroClosure> macros_;
  Scope* scope_ = nullptr;
  std::string output_;
  Value captured_;
  size_t depth_ = 0;
};

}  // namespace edgellm::jinja
