// Chooses the next token from logits: repetition penalty, top-k, top-p, min-p, then temperature, in that
// order (the one llama.cpp's users know). The same seed, options and logits give the same tokens everywhere.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/language_model.h"

namespace edgellm {

struct SamplerOptions {
  float temperature = 0.8f;  // 0: always the most likely token
  size_t top_k = 40;         // 0: all
  float top_p = 0.95f;       // 1: all
  float min_p = 0.05f;       // least probability, as a part of the most likely token's; 0: all
  float repetition_penalty =
      1.0f;  // 1: none; logits of recent tokens are divided (positive) or multiplied by it
  size_t repetition_window = 64;  // recent tokens that are penalized
  uint64_t seed = 0;
};

// Error names the option that is out of range.
Status check(const SamplerOptions& options);

class Sampler {
 public:
  Sampler(const SamplerOptions& options, size_t n_vocabulary);

  // logits: [n_vocabulary]; recent: the context, of which the last repetition_window count.
  Token sample(std::span<const float> logits, std::span<const Token> recent);

 private:
  struct Candidate {
    float logit;
    Token token;
  };
  void penalize(std::span<const float> logits, std::span<const Token> recent);
  void collect(std::span<const float> logits);
  double uniform();  // [0, 1)

  SamplerOptions options_;
  uint64_t state_;
  std::vector<float> penalized_;  // [n_vocabulary]; empty without penalty
  std::vector<Candidate> candidates_;
};

// The first of the largest.
Token most_likely(std::span<const float> logits);

}  // namespace edgellm
