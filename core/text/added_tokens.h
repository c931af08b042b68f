// Tokens that are cut out of a text before it becomes words: added_tokens of tokenizer.json.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct AddedToken {
  std::string text;
  int32_t id = -1;
  bool special = false;
  bool is_piece = true;       // words are spelled with it too, as it is in the vocabulary proper
  bool single_word = false;   // only where no letter or digit is beside it
  bool strips_left = false;   // takes the white space before it
  bool strips_right = false;  // takes the white space after it
  bool normalized = false;    // looked for in the normalized text, not in the original
};

// "added_tokens" of tokenizer.json; none for null. Whether they are pieces too is for the caller to say.
Result<std::vector<AddedToken>> read_added_tokens(const nlohmann::json* list);

class AddedTokens {
 public:
  // A stretch of text without added tokens (id -1), or an added token.
  struct Part {
    std::string_view text;
    int32_t id = -1;
  };
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // The leftmost occurrence first, the longest of those that begin there. `special`: special tokens too.
  std::vector<Part> partition(std::string_view text, bool special) const;

 private:
  const AddedToken* token_at(std::string_view text) const;
  std::vector<AddedToken> tokens_;                          // the longest first
  std::array<std::vector<uint32_t>, 256> with_first_byte_;  // indices into tokens_
};

}  // namespace edgellm
