// What a model expects of a text, for another to be trained towards: of each token the likeliest next tokens
// with their log-probabilities, and those of all others together. Two thousand bytes a token instead of
// hundreds of thousands, so that the teacher need not be there while its student learns.
#pragma once

#include <ATen/ATen.h>
#include <cstdint>
#include <filesystem>

#include "core/base/result.h"

namespace edgellm {

struct TeacherRows {
  at::Tensor tokens;             // [n, k], int64
  at::Tensor log_probabilities;  // [n, k], float
  at::Tensor log_rest;           // [n], float: of all other tokens together
};

class TeacherLogits {
 public:
  static constexpr int64_t kLikeliest = 256;

  // Room for n_windows of n_tokens; k is kLikeliest, or the vocabulary where that is smaller.
  TeacherLogits(int64_t n_windows, int64_t n_tokens, int64_t n_vocabulary);

  int64_t n_windows() const { return tokens_.size(0); }
  int64_t n_tokens() const { return tokens_.size(1); }

  // logits: [n, n_vocabulary], float, of tokens first .. first + n - 1 of a window.
  void put(int64_t window, int64_t first, const at::Tensor& logits);
  TeacherRows rows(int64_t window, int64_t first, int64_t n) const;

  // A file that is whole or not there. load's Error: the file is missing, or of another shape than this.
  Status save(const std::filesystem::path& path) const;
  Status load(const std::filesystem::path& path);

 private:
  at::Tensor tokens_;             // [n_windows, n_tokens, k], int32
  at::Tensor log_probabilities_;  // [n_windows, n_tokens, k]
  at::Tensor log_rest_;           // [n_windows, n_tokens]
};

// Sum over rows of the Kullback-Leibler divergence in nats from the teacher to softmax(logits), all tokens
// but the teacher's likeliest counted as one. logits: [n, n_vocabulary], float; differentiable in them.
at::Tensor divergence_from_teacher(const at::Tensor& logits, const TeacherRows& teacher);

}  // namespace edgellm
