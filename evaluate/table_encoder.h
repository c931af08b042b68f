// For tests: an encoder whose vectors depend on the token alone.
#pragma once

#include <cmath>

#include "core/text_encoder.h"

namespace edgellm {

// hidden[k] of token `id` after layer `layer` is sin(12.9898 id + 78.233 (k + layer)), as in
// scripts/make_bert_score_cases.py (layer 0).
class TableEncoder : public TextEncoder {
 public:
  explicit TableEncoder(size_t most_tokens = 512) : most_tokens_(most_tokens) {}
  size_t n_layers() const override { return 2; }
  size_t n_embedding() const override { return 4; }
  size_t most_tokens() const override { return most_tokens_; }
  Status encode(std::span<const TextEncoderInput> sequences, size_t layer, std::vector<float>& out) override {
    out.clear();
    for (const TextEncoderInput& sequence : sequences) {
      if (sequence.ids.empty() || sequence.ids.size() > most_tokens_)
        return Error{"table encoder: a sequence is empty or too long"};
      ++n_sequences;
      for (int32_t id : sequence.ids)
        for (size_t k = 0; k < n_embedding(); ++k)
          out.push_back(float(std::sin(12.9898 * id + 78.233 * double(k + layer))));
    }
    return {};
  }
  size_t n_sequences = 0;  // encoded so far

 private:
  size_t most_tokens_;
};

}  // namespace edgellm
