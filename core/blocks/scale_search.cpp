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

constexpr auto kTargets3 = two_sided<24>(1.70f, 0.30f);
constexpr auto kTargets4 = two_sided<24>(4.4f, 0.50f);
constexpr auto kTargets5 = two_sided<24>(12.0f, 0.50f);
constexpr auto kTargets6 = two_sided<32>(26.0f, 0.25f);
// The levels are symmetric, so one sign is enough.
constexpr float kTargets8[] = {127.0f, 126.6f, 126.2f, 125.8f, 125.4f, 125.0f, 124.6f, 124.2f};
constexpr auto kTargetsIq4 = two_sided<32>(70.0f, 4.0f);

// The value of largest magnitude, with its sign.
float extreme(const float* values, int n_values) {
  float found = 0;
  for (int i = 0; i < n_values; ++i)
    if (std::fabs(values[i]) > std::fabs(found)) found = values[i];
  return found;
}

// Every n / kCandidateStep neighbours send their best: 16 candidates that lie apart.
void keep_best_neighbours(const float* errors, int n, int kept[kCandidateStep]) {
  int n_neighbours = n / kCandidateStep;
  for (int group = 0; group < kCandidateStep; ++group)
    kept[group] = group * n_neighbours + best_of(errors + group * n_neighbours, n_neighbours);
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

const Levels& whole_levels(int n_bits) {
  static constexpr Levels kLevels[] = {{false, -4, 3, kTargets3.data(), int(kTargets3.size())},
                                       {false, -8, 7, kTargets4.data(), int(kTargets4.size())},
                                       {false, -16, 15, kTargets5.data(), int(kTargets5.size())},
                                       {false, -32, 31, kTargets6.data(), int(kTargets6.size())},
                                       {false, -127, 127, kTargets8, 8}};
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

void find_scales(const Levels& levels, const float* values, const float* weights, int n_runs,
                 uint16_t* scales) {
  float values_by_run[32 * kMaxRuns], weights_by_run[32 * kMaxRuns];
  // Runs that are not there count as zeros.
  for (int i = 0; i < 32; ++i)
    for (int run = 0; run < kMaxRuns; ++run) {
      values_by_run[i * kMaxRuns + run] = run < n_runs ? values[run * 32 + i] : 0.0f;
      weights_by_run[i * kMaxRuns + run] = run < n_runs ? weights[run * 32 + i] : 0.0f;
    }
  FittedScales fitted;
  grid_fit().fit_sub_blocks({values_by_run, weights_by_run, 32, kMaxRuns}, levels, fitted);
  for (int run = 0; run < n_runs; ++run) scales[run] = finite_half(fitted.scale[run]);
}

void transpose(const float* from, int n_rows, int n_columns, float* to) {
  for (int row = 0; row < n_rows; ++row)
    for (int column = 0; column < n_columns; ++column)
      to[column * n_rows + row] = from[row * n_columns + column];
}

namespace {

struct SuperScale {
  float scale = 0, error = kInfinity, better_scale = 0;
  TriedScale sub_blocks = {};
};

SuperScale try_super_scale(const SubBlocks& blocks, const Levels& levels, const FittedScales& fitted,
                           float scale, int low, int high, int n_integers) {
  SuperScale tried;
  tried.scale = tried.better_scale = scale, tried.error = 0;
  grid_fit().try_scale(blocks, levels, fitted, scale, float(low), float(high), n_integers, tried.sub_blocks);
  float slope = 0, curvature = 0;
  for (int sub = 0; sub < blocks.n_sub_blocks; ++sub) {
    float integer = tried.sub_blocks.integer[sub];
    tried.error += tried.sub_blocks.error[sub];
    slope += integer * tried.sub_blocks.slope[sub];
    curvature += integer * integer * tried.sub_blocks.curvature[sub];
  }
  if (curvature > 0) tried.better_scale += slope / curvature;
  return tried;
}

}  // namespace

SubScales find_sub_scales(const Levels& levels, const float* values, const float* weights, int n_sub_blocks,
                          int n_values, int low, int high) {
  float values_by_sub_block[256], weights_by_sub_block[256];
  transpose(values, n_sub_blocks, n_values, values_by_sub_block);
  transpose(weights, n_sub_blocks, n_values, weights_by_sub_block);
  SubBlocks blocks = {values_by_sub_block, weights_by_sub_block, n_values, n_sub_blocks};
  FittedScales fitted;
  grid_fit().fit_sub_blocks(blocks, levels, fitted);
  SubScales found = {};
  float largest = extreme(fitted.scale, n_sub_blocks);
  if (largest == 0) return found;

  // Whole targets come first: values that already lie on a grid of this format are found exactly.
  float scales[kMaxCandidates];
  int n_whole = high < 64 ? high : 48;
  for (int c = 0; c < kMaxCandidates; ++c)
    scales[c] = largest / (c < n_whole       ? float(high - c)
                           : c < 2 * n_whole ? float(low + c - n_whole)
                                             : 0.97f * float(low) * (1.0f + 0.001f * float(c - 2 * n_whole)));
  ScaleFit fit;
  Levels integers = {false, float(low), float(high), nullptr, 0};
  grid_fit().scales(fitted.scale, fitted.curvature, n_sub_blocks, integers, scales, kMaxCandidates, fit);
  int kept[kCandidateStep];
  keep_best_neighbours(fit.refit_error, kMaxCandidates, kept);
  SuperScale best;
  for (int t = 0; t < 4; ++t) {
    int next = 0;
    for (int c = 1; c < kCandidateStep; ++c)
      if (fit.refit_error[kept[c]] < fit.refit_error[kept[next]]) next = c;
    SuperScale tried =
        try_super_scale(blocks, levels, fitted, half_value(fit.refit_scale[kept[next]]), low, high, 2);
    if (tried.error < best.error) best = tried;
    fit.refit_error[kept[next]] = kInfinity;
  }
  for (int round = 0; round < 3; ++round) {
    SuperScale tried = try_super_scale(blocks, levels, fitted, half_value(best.better_scale), low, high, 4);
    if (!(tried.error < best.error)) break;
    best = tried;
  }
  found.scale = finite_half(best.scale);
  for (int sub = 0; sub < n_sub_blocks; ++sub) found.scales[sub] = int(best.sub_blocks.integer[sub]);
  return found;
}

void round_codes(const float* values, int n_values, float scale, float min, int low, int high,
                 uint8_t* stored) {
  float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  for (int i = 0; i < n_values; ++i) {
    float code = (values[i] + min) * inverse;
    code += 12582912.0f;
    code = code < 12582912.0f + float(high) ? code : 12582912.0f + float(high);
    code = code > 12582912.0f + float(low) ? code : 12582912.0f + float(low);
    stored[i] = uint8_t(int32_t(code - 12582912.0f) - low);
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
