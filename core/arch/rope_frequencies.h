// Rotary position embedding: how fast each pair of a head turns with the position.
//   angle(p, i) = p * base^(-2i / n_rotated), i < n_rotated / 2
// changed by the model's frequency factors (llama 3), linear scaling, or YaRN (arXiv 2309.00071).
#pragma once

#include <span>
#include <vector>

#include "core/arch/architecture.h"

namespace edgellm {

struct RopeFrequencies {
  std::vector<double> radians;  // [n_rotated / 2], per position
  double magnitude = 1.0;       // of cosine and sine: YaRN's attention temperature
};

// factors: [n_rotated / 2] divisors of the frequencies, or empty. `local`: of sliding-window layers, which
// have a base of their own and no scaling.
RopeFrequencies rope_frequencies(const Hyperparameters& hyperparameters, std::span<const float> factors,
                                 bool local);

}  // namespace edgellm
