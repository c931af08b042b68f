// Which layers to leave out by their Block Influence alone (ShortGPT, arXiv 2403.03853).
#pragma once

#include <cstdint>
#include <set>
#include <span>

#include "core/base/result.h"

namespace edgellm {

// Layers that a fraction of all stands for: the nearest whole number, at least 1, and at most all but one.
// The paper's 25% of Llama-2-7B's 32 layers are 8. Error when the fraction is not inside (0, 1), or for a
// model of one layer.
Result<uint32_t> layers_of_fraction(double fraction, uint32_t n_layers);

// The n layers of least influence; of equal ones the later, which has fewer layers left to disturb.
// influence: [n_layers], n < n_layers.
std::set<uint32_t> layers_of_least_influence(std::span<const double> influence, uint32_t n);

}  // namespace edgellm
