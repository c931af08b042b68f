// The tokens of a model: text, score, attributes and roles, read from GGUF metadata and checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/metadata.h"
#include "core/base/result.h"

namespace edgellm {

// Values of tokenizer.ggml.token_type.
enum class TokenType : int32_t {
  undefined = 0,
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

// A token may have several attributes: llama.cpp adds `control` to end-of-turn tokens that a file calls
// normal.
struct TokenAttributes {
  bool normal : 1 = false, unknown : 1 = false, control : 1 = false, user_defined : 1 = false;
  bool unused : 1 = false, byte : 1 = false;
  bool strip_left : 1 = false, strip_right : 1 = false;  // white space beside the token is swallowed
  static TokenAttributes of(TokenType type);
  // Cut out of the text before anything else (control and unknown ones only when special tokens are parsed).
  bool special() const { return control || user_defined || unknown; }
};

// Open-addressing hash index from a token's text to its number.
class TokenIndex {
 public:
  void reserve(size_t n_tokens);
  // The token already there with the same text, or -1 after adding.
  int32_t add(const class Vocabulary& vocabulary, int32_t token);
  int32_t find(const class Vocabulary& vocabulary, std::string_view text) const;

 private:
  struct Slot {
    uint32_t hash = 0;
    int32_t token = -1;
  };
  std::vector<Slot> slots_;
};

class Vocabulary {
 public:
  // Error for a missing, empty or inconsistent vocabulary. A token with empty text becomes
  // "[EMPTY_<number>]".
  static Result<Vocabulary> from_metadata(const Metadata& metadata);

  size_t n_tokens() const { return attributes_.size(); }
  std::string_view text(int32_t token) const {
    return std::string_view(texts_).substr(starts_[size_t(token)],
                                           starts_[size_t(token) + 1] - starts_[size_t(token)]);
  }
  float score(int32_t token) const { return scores_.empty() ? 0.0f : scores_[size_t(token)]; }
  const TokenAttributes& attributes(int32_t token) const { return attributes_[size_t(token)]; }
  int32_t find(std::string_view text) const {  // -1 if there is none
    return text.size() > longest_ ? -1 : index_.find(*this, text);
  }
  // The token "<0xNN>", else the one whose text is this byte, else -1.
  int32_t find_byte(uint8_t byte) const;
  size_t longest() const { return longest_; }  // bytes of the longest token
  bool in_range(int64_t token) const { return token >= 0 && size_t(token) < n_tokens(); }

  int32_t bos = -1, eos = -1, unknown = -1;
  bool add_bos = false, add_eos = false;
  std::vector<int32_t> ends_of_generation;  // ascending

 private:
  Status read_tokens(const Metadata& metadata);
  Status read_roles(const Metadata& metadata);
  void find_ends_of_generation(const Metadata& metadata);
  void find_stripping(const Metadata& metadata);

  std::string texts_;
  std::vector<uint32_t> starts_;  // n_tokens + 1 offsets into texts_
  std::vector<float> scores_;     // empty when the model has none
  std::vector<TokenAttributes> attributes_;
  TokenIndex index_;
  size_t longest_ = 0;
};

}  // namespace edgellm
