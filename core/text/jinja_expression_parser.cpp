#include "core/text/jinja_expression_parser.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace edgellm::jinja {
namespace {

using Node = Expression::Kind;

struct Nested {
  explicit Nested(size_t& level) : level(level) { ++level; }
  ~Nested() { --level; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;
  size_t& level;
};

bool is_one_of(const Token& token, std::initializer_list<std::string_view> symbols) {
  return token.kind == TokenKind::symbol &&
         std::find(symbols.begin(), symbols.end(), token.text) != symbols.end();
}

}  // namespace

bool ExpressionParser::skip_symbol(std::string_view symbol) {
  if (!current().is_symbol(symbol)) return false;
  advance();
  return true;
}

bool ExpressionParser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  advance();
  return true;
}

std::string ExpressionParser::described() const {
  switch (current().kind) {
    case TokenKind::data:
      return "text";
    case TokenKind::block_begin:
      return "'{%'";
    case TokenKind::block_end:
      return "'%}'";
    case TokenKind::output_begin:
      return "'{{'";
    case TokenKind::output_end:
      return "'}}'";
    case TokenKind::string:
      return "a text";
    case TokenKind::end:
      return "the end of the template";
    default:
      return fmt::format("'{}'", current().text);
  }
}

Status ExpressionParser::expect_symbol(std::string_view symbol) {
  if (skip_symbol(symbol)) return {};
  return fail(fmt::format("'{}' expected, got {}", symbol, described()));
}

Status ExpressionParser::expect(TokenKind kind, std::string_view what) {
  if (current().kind != kind) return fail(fmt::format("{} expected, got {}", what, described()));
  advance();
  return {};
}

Result<std::string> ExpressionParser::expect_name(std::string_view what) {
  std::string name = current().text;
  EDGELLM_RETURN_IF_ERROR(expect(TokenKind::name, what));
  return name;
}

ExpressionPtr ExpressionParser::make(Node kind, uint32_t offset) const {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->offset = offset;
  return made;
}

// Long chains of operators make deep trees without nesting in the text, so depth is checked on the tree.
Result<ExpressionPtr> ExpressionParser::checked(ExpressionPtr made) const {
  const auto include = [&](const ExpressionPtr& part) {
    if (part) made->depth = std::max(made->depth, part->depth + 1);
  };
  for (const auto& part : made->parts) include(part);
  for (const auto& part : made->positional) include(part);
  for (const auto& part : made->named) include(part.second);
  if (made->depth > 2 * kMaxNesting) return fail_at(made->offset, "the expression is too deep");
  return made;
}

Result<ExpressionPtr> ExpressionParser::binary(Node kind, uint32_t offset, std::string name,
                                               ExpressionPtr left, ExpressionPtr right) const {
  ExpressionPtr made = make(kind, offset);
  made->name = std::move(name);
  made->parts.push_back(std::move(left));
  made->parts.push_back(std::move(right));
  return checked(std::move(made));
}

Result<ExpressionPtr> ExpressionParser::one(bool with_condition) {
  return with_condition ? expression() : either();
}

Result<ExpressionPtr> ExpressionParser::expression_or_tuple(bool with_condition) {
  return tuple(with_condition, false);
}

Result<ExpressionPtr> ExpressionParser::tuple(bool with_condition, bool empty_allowed) {
  const auto ends = [&] {
    const Token& token = current();
    return token.kind == TokenKind::output_end || token.kind == TokenKind::block_end || token.is_symbol(")");
  };
  ExpressionPtr made = make(Node::tuple, current().offset);
  bool is_tuple = false;
  while (!ends()) {
    EDGELLM_ASSIGN_OR_RETURN(auto item, one(with_condition));
    made->parts.push_back(std::move(item));
    if (!skip_symbol(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && made->parts.size() == 1) return std::move(made->parts[0]);
  if (!is_tuple && !empty_allowed) return fail(fmt::format("an expression expected, got {}", described()));
  return checked(std::move(made));
}

Result<ExpressionPtr> ExpressionParser::target(bool with_namespace) {
  ExpressionPtr made = make(Node::tuple, current().offset);
  bool is_tuple = false;
  while (current().kind == TokenKind::name && !current().is_name("in")) {
    ExpressionPtr item = make(Node::name, current().offset);
    EDGELLM_ASSIGN_OR_RETURN(item->name, expect_name("a name"));
    if (with_namespace && skip_symbol(".")) {
      ExpressionPtr attribute = make(Node::attribute, item->offset);
      EDGELLM_ASSIGN_OR_RETURN(attribute->name, expect_name("the name of an attribute"));
      attribute->parts.push_back(std::move(item));
      item = std::move(attribute);
    }
    made->parts.push_back(std::move(item));
    if (!skip_symbol(",")) break;
    is_tuple = true;
  }
  if (made->parts.empty()) return fail(fmt::format("a name to assign to expected, got {}", described()));
  if (!is_tuple) return std::move(made->parts[0]);
  return checked(std::move(made));
}

Result<ExpressionPtr> ExpressionParser::expression() {
  const Nested nested(nesting_);
  if (nesting_ > kMaxNesting) return fail("expressions are nested too deeply");
  EDGELLM_ASSIGN_OR_RETURN(auto value, either());
  while (current().is_name("if")) {
    ExpressionPtr made = make(Node::conditional, current().offset);
    advance();
    EDGELLM_ASSIGN_OR_RETURN(auto condition, either());
    ExpressionPtr otherwise;
    if (skip_name("else")) {
      EDGELLM_ASSIGN_OR_RETURN(otherwise, expression());
    }
    made->parts.push_back(std::move(value));
    made->parts.push_back(std::move(condition));
    made->parts.push_back(std::move(otherwise));
    EDGELLM_ASSIGN_OR_RETURN(value, checked(std::move(made)));
  }
  return value;
}

Result<ExpressionPtr> ExpressionParser::either() {
  EDGELLM_ASSIGN_OR_RETURN(auto left, both());
  while (current().is_name("or")) {
    const uint32_t offset = current().offset;
    advance();
    EDGELLM_ASSIGN_OR_RETURN(auto right, both());
    EDGELLM_ASSIGN_OR_RETURN(left, binary(Node::either, offset, "or", std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::both() {
  EDGELLM_ASSIGN_OR_RETURN(auto left, negation());
  while (current().is_name("and")) {
    const uint32_t offset = current().offset;
    advance();
    EDGELLM_ASSIGN_OR_RETURN(auto right, negation());
    EDGELLM_ASSIGN_OR_RETURN(left, binary(Node::both, offset, "and", std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::negation() {
  if (!current().is_name("not")) return comparison();
  const Nested nested(nesting_);
  if (nesting_ > kMaxNesting) return fail("expressions are nested too deeply");
  ExpressionPtr made = make(Node::negation, current().offset);
  advance();
  EDGELLM_ASSIGN_OR_RETURN(auto operand, negation());
  made->parts.push_back(std::move(operand));
  return checked(std::move(made));
}

Result<ExpressionPtr> ExpressionParser::comparison() {
  EDGELLM_ASSIGN_OR_RETURN(auto first, sum());
  ExpressionPtr made = make(Node::comparison, current().offset);
  made->parts.push_back(std::move(first));
  while (true) {
    std::string name;
    if (is_one_of(current(), {"==", "!=", "<", "<=", ">", ">="})) {
      name = current().text;
    } else if (current().is_name("in")) {
      name = "in";
    } else if (current().is_name("not") && following().is_name("in")) {
      name = "not in";
      advance();
    } else {
      break;
    }
    advance();
    EDGELLM_ASSIGN_OR_RETURN(auto operand, sum());
    made->operators.push_back(std::move(name));
    made->parts.push_back(std::move(operand));
  }
  if (made->operators.empty()) return std::move(made->parts[0]);
  return checked(std::move(made));
}

Result<ExpressionPtr> ExpressionParser::sum() {
  EDGELLM_ASSIGN_OR_RETURN(auto left, join());
  while (is_one_of(current(), {"+", "-"})) {
    const Token name = current();
    advance();
    EDGELLM_ASSIGN_OR_RETURN(auto right, join());
    EDGELLM_ASSIGN_OR_RETURN(
        left, binary(Node::arithmetic, name.offset, name.text, std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::join() {
  EDGELLM_ASSIGN_OR_RETURN(auto first, product());
  if (!current().is_symbol("~")) return first;
  ExpressionPtr made = make(Node::join, current().offset);
  made->parts.push_back(std::move(first));
  while (skip_symbol("~")) {
    EDGELLM_ASSIGN_OR_RETURN(auto operand, product());
    made->parts.push_back(std::move(operand));
  }
  return checked(std::move(made));
}

Result<ExpressionPtr> ExpressionParser::product() {
  EDGELLM_ASSIGN_OR_RETURN(auto left, power());
  while (is_one_of(current(), {"*", "/", "//", "%"})) {
    const Token name = current();
    advance();
    EDGELLM_ASSIGN_OR_RETURN(auto right, power());
    EDGELLM_ASSIGN_OR_RETURN(
        left, binary(Node::arithmetic, name.offset, name.text, std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::power() {
  EDGELLM_ASSIGN_OR_RETURN(auto left, unary(true));
  while (current().is_symbol("**")) {
    const uint32_t offset = current().offset;
    advance();
    EDGELLM_ASSIGN_OR_RETURN(auto right, unary(true));
    EDGELLM_ASSIGN_OR_RETURN(left, binary(Node::arithmetic, offset, "**", std::move(left), std::move(right)));
  }
  return left;
}

Result<ExpressionPtr> ExpressionParser::unary(bool with_filters) {
  const Nested nested(nesting_);
  if (nesting_ > kMaxNesting) return fail("expressions are nested too deeply");
  ExpressionPtr made;
  if (is_one_of(current(), {"-", "+"})) {
    made = make(Node::sign, current().offset);
    made->name = current().text;
    advance();
    EDGELLM_ASSIGN_OR_RETURN(auto operand, unary(false));
    made->parts.push_back(std::move(operand));
    EDGELLM_ASSIGN_OR_RETURN(made, checked(std::move(made)));
  } else {
    EDGELLM_ASSIGN_OR_RETURN(made, primary());
  }
  EDGELLM_ASSIGN_OR_RETURN(made, postfix(std::move(made)));
  while (with_filters) {
    if (current().is_symbol("|")) {
      EDGELLM_ASSIGN_OR_RETURN(made, filters(std::move(made), false));
    } else if (current().is_name("is")) {
      EDGELLM_ASSIGN_OR_RETURN(made, test(std::move(made)));
    } else if (current().is_symbol("(")) {
      EDGELLM_ASSIGN_OR_RETURN(made, call(std::move(made)));
    } else {
      break;
    }
  }
  return made;
}

Result<ExpressionPtr> ExpressionParser::primary() {
  const Token token = current();
  ExpressionPtr made = make(Node::constant, token.offset);
  if (token.kind == TokenKind::name) {
    advance();
    if (token.text == "true" || token.text == "True" || token.text == "false" || token.text == "False") {
      made->constant = Value::boolean(token.text == "true" || token.text == "True");
    } else if (token.text == "none" || token.text == "None") {
      made->constant = Value::none();
    } else {
      made->kind = Node::name;
      made->name = token.text;
    }
    return made;
  }
  if (token.kind == TokenKind::string) {
    std::string text;
    for (; current().kind == TokenKind::string; advance()) text += current().text;
    made->constant = Value::string(std::move(text));
    return made;
  }
  if (token.kind == TokenKind::integer || token.kind == TokenKind::real) return number();
  if (token.is_symbol("(")) {
    advance();
    EDGELLM_ASSIGN_OR_RETURN(made, tuple(true, true));
    EDGELLM_RETURN_IF_ERROR(expect_symbol(")"));
    return made;
  }
  if (token.is_symbol("[")) return list();
  if (token.is_symbol("{")) return dict();
  return fail(fmt::format("an expression expected, got {}", described()));
}

Result<ExpressionPtr> ExpressionParser::number() {
  const Token token = current();
  ExpressionPtr made = make(Node::constant, token.offset);
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  std::from_chars_result read{};
  if (token.kind == TokenKind::real) {
    double value = 0;
    read = std::from_chars(begin, end, value);
    made->constant = Value::real(value);
  } else {
    int base = 10;
    if (token.text.size() > 2 && token.text[0] == '0') {
      const char letter = token.text[1];
      base = letter == 'x' || letter == 'X'   ? 16
             : letter == 'o' || letter == 'O' ? 8
             : letter == 'b' || letter == 'B' ? 2
                                              : 10;
      if (base != 10) begin += 2;
    }
    int64_t value = 0;
    read = std::from_chars(begin, end, value, base);
    made->constant = Value::integer(value);
  }
  if (read.ec != std::errc() || read.ptr != end)
    return fail(fmt::format("{} is no number in range", token.text));
  advance();
  return made;
}

Result<ExpressionPtr> ExpressionParser::list() {
  ExpressionPtr made = make(Node::list, current().offset);
  advance();
  while (!current().is_symbol("]")) {
    if (!made->parts.empty()) {
      EDGELLM_RETURN_IF_ERROR(expect_symbol(","));
      if (current().is_symbol("]")) break;
    }
    EDGELLM_ASSIGN_OR_RETURN(auto item, expression());
    made->parts.push_back(std::move(item));
  }
  advance();
  return checked(std::move(made));
}

Result<ExpressionPtr> ExpressionParser::dict() {
  ExpressionPtr made = make(Node::dict, current().offset);
  advance();
  while (!current().is_symbol("}")) {
    if (!made->parts.empty()) {
      EDGELLM_RETURN_IF_ERROR(expect_symbol(","));
      if (current().is_symbol("}")) break;
    }
    EDGELLM_ASSIGN_OR_RETURN(auto key, expression());
    EDGELLM_RETURN_IF_ERROR(expect_symbol(":"));
    EDGELLM_ASSIGN_OR_RETURN(auto value, expression());
    made->parts.push_back(std::move(key));
    made->parts.push_back(std::move(value));
  }
  advance();
  return checked(std::move(made));
}

Result<ExpressionPtr> ExpressionParser::postfix(ExpressionPtr object) {
  while (true) {
    if (current().is_symbol(".") || current().is_symbol("[")) {
      EDGELLM_ASSIGN_OR_RETURN(object, subscript(std::move(object)));
    } else if (current().is_symbol("(")) {
      EDGELLM_ASSIGN_OR_RETURN(object, call(std::move(object)));
    } else {
      return object;
    }
  }
}

Result<ExpressionPtr> ExpressionParser::subscript(ExpressionPtr object) {
  ExpressionPtr made = make(Node::subscript, current().offset);
  made->parts.push_back(std::move(object));
  if (skip_symbol(".")) {
    if (current().kind == TokenKind::integer) {
      EDGELLM_ASSIGN_OR_RETURN(auto position, number());
      made->parts.push_back(std::move(position));
    } else {
      made->kind = Node::attribute;
      EDGELLM_ASSIGN_OR_RETURN(made->name, expect_name("the name of an attribute"));
    }
    return checked(std::move(made));
  }
  EDGELLM_RETURN_IF_ERROR(expect_symbol("["));
  EDGELLM_ASSIGN_OR_RETURN(auto position, index());
  made->parts.push_back(std::move(position));
  EDGELLM_RETURN_IF_ERROR(expect_symbol("]"));
  return checked(std::move(made));
}

// What stands between [ and ]: an expression or start:stop:step.
Result<ExpressionPtr> ExpressionParser::index() {
  ExpressionPtr slice = make(Node::slice, current().offset);
  for (size_t i = 0; i < 3; ++i) {
    ExpressionPtr part;
    if (!current().is_symbol(":") && !current().is_symbol("]")) {
      EDGELLM_ASSIGN_OR_RETURN(part, expression());
      if (i == 0 && !current().is_symbol(":")) return part;
    }
    slice->parts.push_back(std::move(part));
    if (i < 2 && !skip_symbol(":")) break;
  }
  if (slice->parts.size() < 2) return fail(fmt::format("an expression expected, got {}", described()));
  slice->parts.resize(3);
  return checked(std::move(slice));
}

Status ExpressionParser::arguments(Expression& call) {
  EDGELLM_RETURN_IF_ERROR(expect_symbol("("));
  while (!current().is_symbol(")")) {
    if (!call.positional.empty() || !call.named.empty()) {
      EDGELLM_RETURN_IF_ERROR(expect_symbol(","));
      if (current().is_symbol(")")) break;
    }
    if (is_one_of(current(), {"*", "**"})) return fail("arguments unpacked by * are not known here");
    if (current().kind == TokenKind::name && following().is_symbol("=")) {
      std::string name = current().text;
      advance();
      advance();
      EDGELLM_ASSIGN_OR_RETURN(auto value, expression());
      call.named.emplace_back(std::move(name), std::move(value));
    } else {
      if (!call.named.empty()) return fail("an argument without a name follows one with a name");
      EDGELLM_ASSIGN_OR_RETURN(auto value, expression());
      call.positional.push_back(std::move(value));
    }
  }
  advance();
  return {};
}

Result<ExpressionPtr> ExpressionParser::call(ExpressionPtr callee) {
  ExpressionPtr made = make(Node::call, current().offset);
  made->parts.push_back(std::move(callee));
  EDGELLM_RETURN_IF_ERROR(arguments(*made));
  return checked(std::move(made));
}

Result<ExpressionPtr> ExpressionParser::filters(ExpressionPtr input, bool starts_with_name) {
  while (starts_with_name || skip_symbol("|")) {
    starts_with_name = false;
    ExpressionPtr made = make(Node::filter, current().offset);
    EDGELLM_ASSIGN_OR_RETURN(made->name, expect_name("the name of a filter"));
    made->parts.push_back(std::move(input));
    if (current().is_symbol("(")) EDGELLM_RETURN_IF_ERROR(arguments(*made));
    EDGELLM_ASSIGN_OR_RETURN(input, checked(std::move(made)));
  }
  return input;
}

Result<ExpressionPtr> ExpressionParser::test(ExpressionPtr input) {
  advance();
  const uint32_t is_not = current().offset;
  const bool negated = skip_name("not");
  ExpressionPtr made = make(Node::test, current().offset);
  EDGELLM_ASSIGN_OR_RETURN(made->name, expect_name("the name of a test"));
  made->parts.push_back(std::move(input));
  const Token& token = current();
  const bool is_operator = token.is_name("else") || token.is_name("or") || token.is_name("and") ||
                           token.is_name("if") || token.is_name("in") || token.is_name("not") ||
                           token.is_name("is");
  if (token.is_symbol("(")) {
    EDGELLM_RETURN_IF_ERROR(arguments(*made));
  } else if (token.kind == TokenKind::string || token.kind == TokenKind::integer ||
             token.kind == TokenKind::real || is_one_of(token, {"[", "{"}) ||
             (token.kind == TokenKind::name && !is_operator)) {
    EDGELLM_ASSIGN_OR_RETURN(auto argument, primary());
    EDGELLM_ASSIGN_OR_RETURN(argument, postfix(std::move(argument)));
    made->positional.push_back(std::move(argument));
  }
  EDGELLM_ASSIGN_OR_RETURN(made, checked(std::move(made)));
  if (!negated) return made;
  ExpressionPtr opposite = make(Node::negation, is_not);
  opposite->parts.push_back(std::move(made));
  return checked(std::move(opposite));
}

}  // namespace edgellm::jinja
