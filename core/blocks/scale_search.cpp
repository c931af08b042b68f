#include "core/blocks/scale_search.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "core/base/float16.h"
#include "core/blocks/iq4.h"

namespace edgellm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Both signs, because the levels reach further on one side; n magnitudes from first up in steps.
template <int n>
constexpr std::array<float, 2 * n> two_sided(float first, float step) {
  std::array<float, 2 * n> targets{};
  for (int i = 0; i < n; ++i) {
    targets[size_t(i)] = -(first + step * float(i));
    targets[size_t(n + i)] = first + step * float(i);
  }
  return targets;
}

constexpr auto kTargets3 = two_sided<32>(1.50f, 0.125f);
constexpr auto kTargets4 = two_sided<32>(4.0f, 0.20f);
constexpr auto kTargets5 = two_sided<32>(12.0f, 0.25f);
constexpr auto kTargets6 = two_sided<32>(26.0f, 0.25f);
constexpr auto kTargets8 = two_sided<16>(123.25f, 0.25f);
constexpr auto kTargetsIq4 = two_sided<32>(64.0f, 2.25f);

float value_of_half(uint16_t half) {
  return float_from_half(half);
}

float half_value(float value) {
  return float_from_half(finite_half(value));
}

// The value of largest magnitude, with its sign.
float extreme(const float* values, int n_values) {
  float found = 0;
  for (int i = 0; i < n_values; ++i)
    if (std::fabs(values[i]) > std::fabs(found)) found = values[i];
  return found;
}

int best_of(const float* errors, int n) {
  int best = 0;
  for (int c = 1; c < n; ++c)
    if (errors[c] < errors[best]) best = c;
  return best;
}

// Every n / kCandidateStep neighbours send their best: 16 candidates that lie apart.
void keep_best_neighbours(const float* errors, int n, int kept[kCandidateStep]) {
  int n_neighbours = n / kCandidateStep;
  for (int group = 0; group < kCandidateStep; ++group)
    kept[group] = group * n_neighbours + best_of(errors + group * n_neighbours, n_neighbours);
}

// Rounds down to a whole number without leaving the range of int, whatever v is.
int floor_within(float v, int low, int high) {
  if (!(v > float(low))) return low;
  if (!(v < float(high))) return high;
  int whole = int(v);
  return whole - (float(whole) > v);
}

int clamp(int v, int low, int high) {
  return v < low ? low : v > high ? high : v;
}

struct FittedScale {
  float scale = 0, curvature = 0;
};

// Step 1 for levels around zero.
FittedScale fit_scale(const Levels& levels, const float* values, const float* weights, int n_values) {
  float largest = extreme(values, n_values);
  if (largest == 0) return {};
  float scales[kMaxCandidates];
  for (int c = 0; c < levels.n_targets; ++c) scales[c] = largest / levels.targets[c];
  ScaleFit fit;
  levels.fit(values, weights, n_values, scales, levels.n_targets, fit);
  int kept[kCandidateStep];
  keep_best_neighbours(fit.refit_error, levels.n_targets, kept);
  for (int c = 0; c < kCandidateStep; ++c) scales[c] = fit.refit_scale[kept[c]];
  levels.fit(values, weights, n_values, scales, kCandidateStep, fit);
  int best = best_of(fit.refit_error, kCandidateStep);
  return {fit.refit_scale[best], fit.curvature[best]};
}

}  // namespace

RowWeights::RowWeights(const float* importance, size_t n_values) : importance_(importance) {
  if (!importance) return;
  double sum = 0;
  for (size_t i = 0; i < n_values; ++i) sum += importance[i];
  float factor = float(double(n_values) / sum);
  if (sum > 0 && std::isfinite(factor)) factor_ = factor;
}

void RowWeights::copy(size_t begin, int n_values, float* weights) const {
  if (factor_ == 0) {
    for (int i = 0; i < n_values; ++i) weights[i] = 1.0f;
    return;
  }
  const float* importance = importance_ + begin;
  for (int i = 0; i < n_values; ++i) {
    float weight = importance[i] * factor_;
    weights[i] = (weight > 0 ? weight : 0.0f) + 1e-6f;
  }
}

void Levels::fit(const float* values, const float* weights, int n_values, const float* scales,
                 int n_candidates, ScaleFit& fit) const {
  if (iq4)
    grid_fit().iq4_scales(values, weights, n_values, scales, n_candidates, fit);
  else
    grid_fit().scales(values, weights, n_values, low, high, scales, n_candidates, fit);
}

const Levels& whole_levels(int n_bits) {
  static constexpr Levels kLevels[] = {{false, -4, 3, kTargets3.data(), int(kTargets3.size())},
                                       {false, -8, 7, kTargets4.data(), int(kTargets4.size())},
                                       {false, -16, 15, kTargets5.data(), int(kTargets5.size())},
                                       {false, -32, 31, kTargets6.data(), int(kTargets6.size())},
                                       {false, -127, 127, kTargets8.data(), int(kTargets8.size())}};
  return kLevels[n_bits == 8 ? 4 : n_bits - 3];
}

const Levels& iq4_levels() {
  static constexpr Levels kLevels = {true, -127, 113, kTargetsIq4.data(), int(kTargetsIq4.size())};
  return kLevels;
}

uint16_t finite_half(float value) {
  value = value < 65504.0f ? value : 65504.0f;
  value = value > -65504.0f ? value : -65504.0f;
  return half_from_float(value);
}

uint16_t find_scale(const Levels& levels, const float* values, const float* weights, int n_values) {
  float largest = extreme(values, n_values);
  if (largest == 0) return 0;
  float scales[kMaxCandidates];
  for (int c = 0; c < levels.n_targets; ++c) scales[c] = largest / levels.targets[c];
  ScaleFit fit;
  levels.fit(values, weights, n_values, scales, levels.n_targets, fit);
  float best_error = kInfinity, best_scale = half_value(scales[0]);
  int kept[kCandidateStep];
  keep_best_neighbours(fit.refit_error, levels.n_targets, kept);
  for (int c = 0; c < kCandidateStep; ++c) scales[c] = fit.refit_scale[kept[c]];
  for (int round = 0; round < 2; ++round) {
    for (int c = 0; c < kCandidateStep; ++c) scales[c] = half_value(scales[c]);
    levels.fit(values, weights, n_values, scales, kCandidateStep, fit);
    int best = best_of(fit.error, kCandidateStep);
    if (fit.error[best] < best_error) best_error = fit.error[best], best_scale = scales[best];
    for (int c = 0; c < kCandidateStep; ++c) scales[c] = fit.refit_scale[c];
  }
  return finite_half(best_scale);
}

namespace {

// The small integers of one super-block under a tried scale, and their error.
struct TriedScale {
  float scale = 0, error = kInfinity, better_scale = 0;
  int scales[kMaxSubBlocks] = {};
};

struct SubScaleSearch {
  const Levels& levels;
  const float *values, *weights;
  int n_sub_blocks, n_values, low, high;
  FittedScale fitted[kMaxSubBlocks];

  // Tries four scales at once, for each sub-block the four integers around the fitted scale.
  TriedScale best_of_four(const float tried[4]) const {
    TriedScale four[4];
    for (int t = 0; t < 4; ++t) four[t].scale = tried[t], four[t].error = 0;
    float slopes[4] = {}, curvatures[4] = {};
    ScaleFit fit;
    for (int sub = 0; sub < n_sub_blocks; ++sub) {
      float scales[kCandidateStep];
      int integers[kCandidateStep];
      for (int t = 0; t < 4; ++t) {
        int first = floor_within(tried[t] != 0 ? fitted[sub].scale / tried[t] : 0.0f, low, high) - 1;
        for (int k = 0; k < 4; ++k) {
          integers[4 * t + k] = clamp(first + k, low, high);
          scales[4 * t + k] = tried[t] * float(integers[4 * t + k]);
        }
      }
      levels.fit(values + sub * n_values, weights + sub * n_values, n_values, scales, kCandidateStep, fit);
      for (int t = 0; t < 4; ++t) {
        int best = 4 * t + best_of(fit.error + 4 * t, 4), integer = integers[best];
        four[t].scales[sub] = integer;
        four[t].error += fit.error[best];
        slopes[t] += float(integer) * fit.slope[best];
        curvatures[t] += float(integer * integer) * fit.curvature[best];
      }
    }
    int best = 0;
    for (int t = 1; t < 4; ++t)
      if (four[t].error < four[best].error) best = t;
    four[best].better_scale =
        curvatures[best] > 0 ? tried[best] + slopes[best] / curvatures[best] : tried[best];
    return four[best];
  }
};

}  // namespace

SubScales find_sub_scales(const Levels& levels, const float* values, const float* weights, int n_sub_blocks,
                          int n_values, int low, int high) {
  SubScaleSearch search{levels, values, weights, n_sub_blocks, n_values, low, high, {}};
  float fitted[kMaxSubBlocks], curvatures[kMaxSubBlocks];
  for (int sub = 0; sub < n_sub_blocks; ++sub) {
    search.fitted[sub] = fit_scale(levels, values + sub * n_values, weights + sub * n_values, n_values);
    fitted[sub] = search.fitted[sub].scale;
    curvatures[sub] = search.fitted[sub].curvature;
  }
  float largest = extreme(fitted, n_sub_blocks);
  SubScales found = {};
  if (largest == 0) return found;

  // Whole targets come first: values that already lie on a grid of this format are found exactly.
  float scales[kMaxCandidates];
  int n_whole = high < 64 ? high : 64;
  for (int c = 0; c < kMaxCandidates; ++c)
    scales[c] = largest / (c < n_whole       ? float(high - c)
                           : c < 2 * n_whole ? float(low + c - n_whole)
                                             : 0.97f * float(low) * (1.0f + 0.001f * float(c - 2 * n_whole)));
  ScaleFit fit;
  grid_fit().scales(fitted, curvatures, n_sub_blocks, float(low), float(high), scales, kMaxCandidates, fit);
  int kept[kCandidateStep];
  keep_best_neighbours(fit.refit_error, kMaxCandidates, kept);
  float tried[4];
  for (int t = 0; t < 4; ++t) {
    int best = 0;
    for (int c = 1; c < kCandidateStep; ++c)
      if (fit.refit_error[kept[c]] < fit.refit_error[kept[best]]) best = c;
    tried[t] = half_value(fit.refit_scale[kept[best]]);
    fit.refit_error[kept[best]] = kInfinity;
  }
  TriedScale best = search.best_of_four(tried);
  for (int round = 0; round < 3; ++round) {
    uint16_t half = finite_half(best.better_scale);
    tried[0] = value_of_half(half);
    tried[1] = value_of_half(uint16_t(half + 1)), tried[2] = value_of_half(uint16_t(half ? half - 1 : 0));
    tried[3] = half_value(2 * best.better_scale - best.scale);
    for (float& scale : tried)
      if (!std::isfinite(scale)) scale = best.scale;
    TriedScale next = search.best_of_four(tried);
    if (!(next.error < best.error)) break;
    best = next;
  }
  found.scale = finite_half(best.scale);
  for (int sub = 0; sub < n_sub_blocks; ++sub) found.scales[sub] = best.scales[sub];
  return found;
}

void round_codes(const float* values, int n_values, float scale, float min, int low, int high,
                 uint8_t* stored) {
  float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  for (int i = 0; i < n_values; ++i) {
    float code = (values[i] + min) * inverse;
    code = code < float(high) ? code : float(high);
    code = code > float(low) ? code : float(low);
    stored[i] = uint8_t(int32_t((code + 12582912.0f) - 12582912.0f) - low);
  }
}

void round_iq4_codes(const float* values, int n_values, float scale, uint8_t* stored) {
  float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  for (int i = 0; i < n_values; ++i) {
    float level = values[i] * inverse;
    int code = 0;
    for (int k = 1; k < 16; ++k) code += level > 0.5f * float(kIq4Levels[k] + kIq4Levels[k - 1]);
    stored[i] = uint8_t(code);
  }
}

}  // namespace edgellm
