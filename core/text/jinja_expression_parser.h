#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/text/jinja_lexer.h"
#include "core/text/jinja_syntax.h"

namespace edgellm::jinja {

// Walks over the tokens and parses expressions, binding as Jinja does: if-else, or, and, not, comparisons, +
// -, ~,
// * / // %, **, signs, then subscripts, calls, filters and tests.
class ExpressionParser {
 public:
  ExpressionParser(std::string_view source, std::vector<Token> tokens)
      : source_(source), tokens_(std::move(tokens)) {}

  static constexpr size_t kMaxNesting = 100;

  const Token& current() const { return tokens_[position_]; }
  const Token& following() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  void advance() {
    if (position_ + 1 < tokens_.size()) ++position_;
  }
  bool skip_symbol(std::string_view symbol);
  bool skip_name(std::string_view name);
  Status expect_symbol(std::string_view symbol);
  Status expect(TokenKind kind, std::string_view what);
  Result<std::string> expect_name(std::string_view what);
  Error fail(std::string_view message) const { return fail_at(current().offset, message); }
  Error fail_at(uint32_t offset, std::string_view message) const {
    return error_at(source_, offset, message);
  }
  // What the current token is, for errors.
  std::string described() const;

  Result<ExpressionPtr> expression();
  // One expression, or a tuple of several with commas between. `with_condition` is false where a following
  // `if` belongs to the statement.
  Result<ExpressionPtr> expression_or_tuple(bool with_condition = true);
  // The names a value is assigned to; with_namespace also allows name.attribute.
  Result<ExpressionPtr> target(bool with_namespace);
  // The filters after `input`, at least one when `required`.
  Result<ExpressionPtr> filters(ExpressionPtr input, bool starts_with_name);
  ExpressionPtr make(Expression::Kind kind, uint32_t offset) const;

 private:
  Result<ExpressionPtr> checked(ExpressionPtr made) const;
  Result<ExpressionPtr> one(bool with_condition);
  Result<ExpressionPtr> tuple(bool with_condition, bool empty_allowed);
  Result<ExpressionPtr> either();
  Result<ExpressionPtr> both();
  Result<ExpressionPtr> negation();
  Result<ExpressionPtr> comparison();
  Result<ExpressionPtr> sum();
  Result<ExpressionPtr> join();
  Result<ExpressionPtr> product();
  Result<ExpressionPtr> power();
  Result<ExpressionPtr> unary(bool with_filters);
  Result<ExpressionPtr> primary();
  Result<ExpressionPtr> number();
  Result<ExpressionPtr> list();
  Result<ExpressionPtr> dict();
  Result<ExpressionPtr> postfix(ExpressionPtr object);
  Result<ExpressionPtr> subscript(ExpressionPtr object);
  Result<ExpressionPtr> index();
  Result<ExpressionPtr> call(ExpressionPtr callee);
  Result<ExpressionPtr> test(ExpressionPtr input);
  Status arguments(Expression& call);
  Result<ExpressionPtr> binary(Expression::Kind kind, uint32_t offset, std::string name, ExpressionPtr left,
                               ExpressionPtr right) const;

  std::string_view source_;
  std::vector<Token> tokens_;
  size_t position_ = 0;
  size_t nesting_ = 0;
};

}  // namespace edgellm::jinja
