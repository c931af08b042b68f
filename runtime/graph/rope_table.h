// Rotary position embedding: the angles of a batch of positions.
//   angle(p, i) = p * base^(-2i / n_rotated), i < n_rotated / 2
// changed by the model's frequency factors (llama 3), linear scaling, or YaRN (arXiv 2309.00071).
#pragma once

#include <span>
#include <vector>

#include "core/arch/architecture.h"

namespace edgellm {

class RopeTable {
 public:
  RopeTable() = default;
  // factors: [n_rotated / 2] divisors of the frequencies, or empty. `local`: the angles of sliding-window
  // layers, which have a base of their own and no scaling.
  RopeTable(const Hyperparameters& hyperparameters, std::span<const float> factors, bool local);

  size_t n_pairs() const { return frequencies_.size(); }
  // cosine, sine: [n_tokens, n_pairs] of positions first_position ...
  void fill(size_t first_position, size_t n_tokens, float* cosine, float* sine) const;

 private:
  std::vector<double> frequencies_;  // radians per position
  double magnitude_ = 1.0;           // YaRN's attention temperature
};

}  // namespace edgellm
