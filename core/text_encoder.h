// The interface the metrics use that compare meanings: token ids in, a vector for every token out. As with
// language_model.h, `evaluate` sees no engine behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct TextEncoderInput {
  std::span<const int32_t> ids;       // [tokens], special ones included
  std::span<const int32_t> segments;  // [tokens], 0: first text, 1: second; empty: all 0
};

class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  virtual size_t n_layers() const = 0;
  virtual size_t n_embedding() const = 0;  // entries of a hidden state
  virtual size_t most_tokens() const = 0;  // of one sequence

  // Hidden states after `layer` (0: the embeddings that enter the first layer; n_layers(): the last), of the
  // tokens of all sequences one after another: out becomes [sum of tokens, n_embedding]. A sequence's values
  // do not depend on the others. Error for a layer that is not there, a sequence that is empty or too long,
  // an id outside the vocabulary, or "interrupted".
  virtual Status encode(std::span<const TextEncoderInput> sequences, size_t layer,
                        std::vector<float>& out) = 0;
};

}  // namespace edgellm
