// Cuts a template into tokens, with Jinja's rules for white space around tags (trim_blocks and lstrip_blocks
// are on, as in Hugging Face's apply_chat_template).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm::jinja {

enum class TokenKind : uint8_t {
  data,          // text outside of tags
  block_begin,   // {%
  block_end,     // %}
  output_begin,  // {{
  output_end,    // }}
  name,
  string,
  integer,
  real,
  symbol,  // an operator or bracket
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;  // of data and string: the value; of integer and real: the digits
  uint32_t offset = 0;

  bool is_symbol(std::string_view symbol) const { return kind == TokenKind::symbol && text == symbol; }
  bool is_name(std::string_view name) const { return kind == TokenKind::name && text == name; }
};

// Line ends become \n and one at the end is dropped, as Jinja does; offsets count in this text.
std::string normalize_line_ends(std::string_view source);
// Ends with a token of kind end.
Result<std::vector<Token>> tokenize(std::string_view normalized);

// "chat template: MESSAGE at line 3, column 12".
Error error_at(std::string_view source, uint32_t offset, std::string_view message);

}  // namespace edgellm::jinja
