// What a quantizer or pruner needs to know of the inputs of one matrix product: H = sum of x x^T over the
// calibration tokens, or its diagonal only.
#pragma once

#include <ATen/ATen.h>
#include <cstdint>

namespace edgellm {

enum class MomentKind { full, diagonal };

class SecondMoments {
 public:
  SecondMoments() = default;
  // Of inputs of n_columns values; sums lie on `device`, in float.
  SecondMoments(int64_t n_columns, MomentKind kind, at::Device device = at::kCPU);
  static uint64_t n_bytes(int64_t n_columns, MomentKind kind);

  // x: [n_tokens, n_columns], any floating type.
  void add(const at::Tensor& x);

  // Takes the squares of `other` away, which must be a part of these up to rounding; sums stay.
  void subtract(const SecondMoments& other);

  int64_t n_tokens() const { return n_tokens_; }
  int64_t n_columns() const { return sums_.size(0); }
  // sum over tokens of x x^T: [n_columns, n_columns], symmetric; only of MomentKind::full. What GPTQ calls H
  // is twice this divided by n_tokens(); no solution depends on the factor.
  const at::Tensor& matrix();
  at::Tensor column_squares() const;                                   // sum of x^2: [n_columns]
  at::Tensor column_norms() const { return column_squares().sqrt(); }  // Wanda's: [n_columns]
  at::Tensor column_means() const;                                     // mean of x: [n_columns]
  at::Tensor column_magnitudes() const;                                // mean of |x|, AWQ's: [n_columns]

 private:
  MomentKind kind_ = MomentKind::full;
  at::Tensor squares_;               // full: [n_columns, n_columns]; diagonal: [n_columns]
  at::Tensor sums_, absolute_sums_;  // [n_columns]
  int64_t n_tokens_ = 0;
  bool is_mirrored_ = true;  // whether the lower triangle holds the upper one's sums
};

}  // namespace edgellm
