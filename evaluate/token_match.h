// The innermost part of BERTScore: the largest cosine of every token of two texts to a token of the other.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace edgellm {

// Vectors of a text's tokens, of length 1, each entry of all tokens side by side.
struct TokenVectors {
  size_t n_tokens = 0, n_padded = 0;  // n_padded: n_tokens rounded up, the rest are zero vectors
  size_t n_embedding = 0;
  std::vector<float> values;  // [n_embedding, n_padded]

  // hidden: [n_tokens, n_embedding]
  static TokenVectors normalized(std::span<const float> hidden, size_t n_embedding);
};

struct TokenMatch {
  std::vector<float> first, second;  // [tokens of the first text], [tokens of the second]: largest cosines
};

TokenMatch match_tokens(const TokenVectors& first, const TokenVectors& second);

}  // namespace edgellm
