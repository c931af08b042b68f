// ReplaceMe (Shopkhoev et al., "ReplaceMe: Network Simplification via Depth Pruning and Transformer Block
// Linearization", arXiv 2505.02819): what a run of left-out layers added to the hidden states is estimated
// from the feed-forward output before the cut, and folded into that layer's ffn_down matrix.
#pragma once

#include <ATen/ATen.h>

#include "core/base/result.h"

namespace edgellm {

// Sums over calibration tokens for one cut. m: what the last kept layer's feed-forward part adds to the
// hidden state; added: what the left-out layers add after it, their output less their input.
class CutMoments {
 public:
  explicit CutMoments(int64_t n_embedding);
  // m, added: [n_tokens, n_embedding], float.
  void add(const at::Tensor& m, const at::Tensor& added);
  int64_t n_tokens() const { return n_tokens_; }
  const at::Tensor& m_m() const { return m_m_; }          // sum of m m^T, [n_embedding, n_embedding], double
  const at::Tensor& m_added() const { return m_added_; }  // sum of m added^T
  double added_squares() const { return added_squares_; }

 private:
  at::Tensor m_m_, m_added_;
  double added_squares_ = 0;
  int64_t n_tokens_ = 0;
};

struct CutCorrection {
  at::Tensor transform;  // T, [n_embedding, n_embedding], double: m T stands for m + added
  double left = 0;       // share of `added` that m T - m does not explain, on the calibration tokens
};

// T = I + argmin over D of sum |m D - added|^2 + ridge * mean diagonal of sum(m m^T) * |D|^2. The paper's
// least squares with T alone; written as a change of the identity, the ridge pulls towards leaving the layers
// out without correction rather than towards zero. Error when the moments are not finite, or of no token.
Result<CutCorrection> solve_cut(const CutMoments& moments, double ridge = 1e-3);

// ffn_down [n_embedding, n_feed_forward] with T applied to what it gives: T^T down. A bias is [n_embedding,
// 1].
at::Tensor fold_into_down(const at::Tensor& down, const at::Tensor& transform);

}  // namespace edgellm
