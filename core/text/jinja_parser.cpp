#include <algorithm>
#include <fmt/format.h>
#include <initializer_list>

#include "core/text/jinja_expression_parser.h"
#include "core/text/jinja_lexer.h"
#include "core/text/jinja_syntax.h"

namespace edgellm::jinja {
namespace {

using Node = Statement::Kind;

class StatementParser {
 public:
  StatementParser(std::string_view source, std::vector<Token> tokens) : parser_(source, std::move(tokens)) {}

  // Statements up to a tag that begins with one of `ends` (left to be read), or to the end of the template.
  Result<Body> body(std::initializer_list<std::string_view> ends) {
    if (++nesting_ > ExpressionParser::kMaxNesting) return parser_.fail("blocks are nested too deeply");
    Body result;
    while (true) {
      const Token& token = parser_.current();
      if (token.kind == TokenKind::end) {
        if (ends.size() > 0)
          return parser_.fail(fmt::format("the template ends where '{}' is missing", *std::rbegin(ends)));
        break;
      }
      if (token.kind == TokenKind::data) {
        Statement text = start(Node::text);
        text.text = token.text;
        parser_.advance();
        result.push_back(std::move(text));
      } else if (token.kind == TokenKind::output_begin) {
        Statement output = start(Node::output);
        parser_.advance();
        EDGELLM_ASSIGN_OR_RETURN(output.value, parser_.expression_or_tuple());
        EDGELLM_RETURN_IF_ERROR(parser_.expect(TokenKind::output_end, "'}}'"));
        result.push_back(std::move(output));
      } else {
        EDGELLM_RETURN_IF_ERROR(parser_.expect(TokenKind::block_begin, "'{%'"));
        const bool at_end =
            std::any_of(ends.begin(), ends.end(), [&](auto end) { return parser_.current().is_name(end); });
        if (at_end) break;
        EDGELLM_ASSIGN_OR_RETURN(auto made, statement());
        result.push_back(std::move(made));
      }
    }
    --nesting_;
    return result;
  }

 private:
  Statement start(Node kind) const {
    Statement result;
    result.kind = kind;
    result.offset = parser_.current().offset;
    return result;
  }

  Status end_tag() { return parser_.expect(TokenKind::block_end, "'%}'"); }

  // `%} body {% end %}`.
  Status body_and_end(Statement& statement, std::string_view end) {
    EDGELLM_RETURN_IF_ERROR(end_tag());
    EDGELLM_ASSIGN_OR_RETURN(statement.body, body({end}));
    parser_.advance();
    return end_tag();
  }

  Result<Statement> statement() {
    Statement made = start(Node::text);
    EDGELLM_ASSIGN_OR_RETURN(const std::string name, parser_.expect_name("the name of a statement"));
    if (name == "if") return branches(std::move(made));
    if (name == "for") return loop(std::move(made));
    if (name == "set") return assign(std::move(made));
    if (name == "macro") return macro(std::move(made));
    if (name == "call") return call_block(std::move(made));
    if (name == "filter") return filter_block(std::move(made));
    if (name == "with") return scope(std::move(made));
    if (name == "generation") {
      made.kind = Node::group;
      EDGELLM_RETURN_IF_ERROR(body_and_end(made, "endgeneration"));
      return made;
    }
    if (name == "break" || name == "continue") {
      if (n_loops_ == 0) return parser_.fail_at(made.offset, fmt::format("'{}' outside of a loop", name));
      made.kind = name == "break" ? Node::leave_loop : Node::next_item;
      EDGELLM_RETURN_IF_ERROR(end_tag());
      return made;
    }
    return parser_.fail_at(made.offset, fmt::format("unknown statement '{}'", name));
  }

  Result<Statement> branches(Statement made) {
    made.kind = Node::branches;
    bool has_condition = true;
    while (true) {
      Branch branch;
      if (has_condition) {
        EDGELLM_ASSIGN_OR_RETURN(branch.condition, parser_.expression_or_tuple(false));
      }
      EDGELLM_RETURN_IF_ERROR(end_tag());
      if (has_condition) {
        EDGELLM_ASSIGN_OR_RETURN(branch.body, body({"elif", "else", "endif"}));
      } else {
        EDGELLM_ASSIGN_OR_RETURN(branch.body, body({"endif"}));
      }
      made.branches.push_back(std::move(branch));
      if (parser_.skip_name("endif")) break;
      has_condition = parser_.current().is_name("elif");
      parser_.advance();
    }
    EDGELLM_RETURN_IF_ERROR(end_tag());
    return made;
  }

  Result<Statement> loop(Statement made) {
    made.kind = Node::loop;
    EDGELLM_ASSIGN_OR_RETURN(made.target, parser_.target(false));
    if (!parser_.skip_name("in"))
      return parser_.fail(fmt::format("'in' expected, got {}", parser_.described()));
    EDGELLM_ASSIGN_OR_RETURN(made.value, parser_.expression_or_tuple(false));
    if (parser_.skip_name("if")) {
      EDGELLM_ASSIGN_OR_RETURN(made.condition, parser_.expression());
    }
    if (parser_.current().is_name("recursive")) return parser_.fail("recursive loops are not known here");
    EDGELLM_RETURN_IF_ERROR(end_tag());
    ++n_loops_;
    EDGELLM_ASSIGN_OR_RETURN(made.body, body({"else", "endfor"}));
    --n_loops_;
    if (parser_.skip_name("else")) {
      EDGELLM_RETURN_IF_ERROR(end_tag());
      EDGELLM_ASSIGN_OR_RETURN(made.otherwise, body({"endfor"}));
    }
    parser_.advance();
    EDGELLM_RETURN_IF_ERROR(end_tag());
    return made;
  }

  Result<Statement> assign(Statement made) {
    EDGELLM_ASSIGN_OR_RETURN(made.target, parser_.target(true));
    if (parser_.skip_symbol("=")) {
      made.kind = Node::assign;
      EDGELLM_ASSIGN_OR_RETURN(made.value, parser_.expression_or_tuple());
      EDGELLM_RETURN_IF_ERROR(end_tag());
      return made;
    }
    made.kind = Node::assign_block;
    EDGELLM_ASSIGN_OR_RETURN(made.value,
                             parser_.filters(parser_.make(Expression::Kind::captured, made.offset), false));
    EDGELLM_RETURN_IF_ERROR(body_and_end(made, "endset"));
    return made;
  }

  // A macro's body is its own program: a `break` in it cannot reach a loop around it.
  Status macro_body(Statement& made, std::string_view end) {
    const size_t n_loops = std::exchange(n_loops_, 0);
    EDGELLM_RETURN_IF_ERROR(body_and_end(made, end));
    n_loops_ = n_loops;
    return {};
  }

  Status parameters(Statement& made) {
    EDGELLM_RETURN_IF_ERROR(parser_.expect_symbol("("));
    while (!parser_.current().is_symbol(")")) {
      if (!made.parameters.empty()) EDGELLM_RETURN_IF_ERROR(parser_.expect_symbol(","));
      Parameter parameter;
      EDGELLM_ASSIGN_OR_RETURN(parameter.name, parser_.expect_name("the name of a parameter"));
      if (parser_.skip_symbol("=")) {
        EDGELLM_ASSIGN_OR_RETURN(parameter.otherwise, parser_.expression());
      } else if (!made.parameters.empty() && made.parameters.back().otherwise) {
        return parser_.fail("a parameter without a default follows one with a default");
      }
      made.parameters.push_back(std::move(parameter));
    }
    parser_.advance();
    return {};
  }

  Result<Statement> macro(Statement made) {
    made.kind = Node::macro;
    EDGELLM_ASSIGN_OR_RETURN(made.text, parser_.expect_name("the name of a macro"));
    EDGELLM_RETURN_IF_ERROR(parameters(made));
    EDGELLM_RETURN_IF_ERROR(macro_body(made, "endmacro"));
    return made;
  }

  Result<Statement> call_block(Statement made) {
    made.kind = Node::call_block;
    if (parser_.current().is_symbol("(")) EDGELLM_RETURN_IF_ERROR(parameters(made));
    EDGELLM_ASSIGN_OR_RETURN(made.value, parser_.expression());
    if (made.value->kind != Expression::Kind::call) return parser_.fail("a call expected");
    EDGELLM_RETURN_IF_ERROR(macro_body(made, "endcall"));
    return made;
  }

  Result<Statement> filter_block(Statement made) {
    made.kind = Node::filter_block;
    EDGELLM_ASSIGN_OR_RETURN(made.value,
                             parser_.filters(parser_.make(Expression::Kind::captured, made.offset), true));
    EDGELLM_RETURN_IF_ERROR(body_and_end(made, "endfilter"));
    return made;
  }

  Result<Statement> scope(Statement made) {
    made.kind = Node::scope;
    while (parser_.current().kind != TokenKind::block_end) {
      if (!made.assignments.empty()) EDGELLM_RETURN_IF_ERROR(parser_.expect_symbol(","));
      ExpressionPtr name = parser_.make(Expression::Kind::name, parser_.current().offset);
      EDGELLM_ASSIGN_OR_RETURN(name->name, parser_.expect_name("a name"));
      EDGELLM_RETURN_IF_ERROR(parser_.expect_symbol("="));
      EDGELLM_ASSIGN_OR_RETURN(auto value, parser_.expression());
      made.assignments.push_back(std::move(name));
      made.assignments.push_back(std::move(value));
    }
    EDGELLM_RETURN_IF_ERROR(body_and_end(made, "endwith"));
    return made;
  }

  ExpressionParser parser_;
  size_t nesting_ = 0;
  size_t n_loops_ = 0;
};

}  // namespace

Result<Body> parse_template(std::string_view source) {
  EDGELLM_ASSIGN_OR_RETURN(auto tokens, tokenize(source));
  return StatementParser(source, std::move(tokens)).body({});
}

}  // namespace edgellm::jinja
