#include "core/arch/rope_frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace edgellm {
namespace {

// YaRN: the pair whose wavelength makes n_turns over the original context.
double pair_of_turns(double n_turns, double n_rotated, double base, double original_context) {
  return n_rotated * std::log(original_context / (n_turns * 2 * std::numbers::pi)) / (2 * std::log(base));
}

}  // namespace

RopeFrequencies rope_frequencies(const Hyperparameters& h, std::span<const float> factors, bool local) {
  RopeFrequencies rope;
  rope.radians.resize(h.n_rotated / 2);
  double base = local ? h.rope_base_local : h.rope_base;
  for (size_t i = 0; i < rope.radians.size(); ++i) {
    rope.radians[i] = std::pow(base, -2.0 * double(i) / h.n_rotated);
    if (!factors.empty()) rope.radians[i] /= factors[i];
  }
  if (local || h.rope_scaling == RopeScaling::none || h.rope_scaling_factor == 0) return rope;
  double factor = h.rope_scaling_factor;
  if (h.rope_scaling == RopeScaling::linear) {
    for (double& radians : rope.radians) radians /= factor;
    return rope;
  }
  // Pairs that turn often (more than 32 times) stay, those that turn less than once are interpolated.
  constexpr double kFastTurns = 32, kSlowTurns = 1;
  double original = h.rope_scaling_original_context ? h.rope_scaling_original_context : h.n_context_trained;
  double low = std::max(0.0, std::floor(pair_of_turns(kFastTurns, h.n_rotated, base, original)));
  double high =
      std::min(h.n_rotated - 1.0, std::ceil(pair_of_turns(kSlowTurns, h.n_rotated, base, original)));
  for (size_t i = 0; i < rope.radians.size(); ++i) {
    double interpolated = std::clamp((double(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
    rope.radians[i] *= interpolated / factor + (1 - interpolated);
  }
  if (factor > 1) rope.magnitude = 1.0 + 0.1 * std::log(factor);
  return rope;
}

}  // namespace edgellm
