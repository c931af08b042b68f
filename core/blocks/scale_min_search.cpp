// The half of scale_search.h that is about grids with a minimum.
#include <cmath>
#include <limits>

#include "core/base/float16.h"
#include "core/blocks/scale_search.h"

namespace edgellm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float half_value(float value) {
  return float_from_half(finite_half(value));
}

int best_of(const float* errors, int n) {
  int best = 0;
  for (int c = 1; c < n; ++c)
    if (errors[c] < errors[best]) best = c;
  return best;
}

int floor_within(float v, int low, int high) {
  if (!(v > float(low))) return low;
  if (!(v < float(high))) return high;
  int whole = int(v);
  return whole - (float(whole) > v);
}

int clamp(int v, int low, int high) {
  return v < low ? low : v > high ? high : v;
}

struct Range {
  float low, high;
};

Range range_of(const float* values, int n_values) {
  Range range = {values[0], values[0]};
  for (int i = 1; i < n_values; ++i) {
    range.low = values[i] < range.low ? values[i] : range.low;
    range.high = values[i] > range.high ? values[i] : range.high;
  }
  return range;
}

// Candidate grids over a range: how many steps it is cut into, and how many of those the grid's first level
// lies above the range's start.
struct Candidates {
  int n_steps, n_shifts;
  float first_steps, step_of_steps, first_shift, step_of_shifts;
};

Candidates candidates_for(float code_high) {
  if (code_high == 3) return {16, 8, 2.2f, 0.2f, -0.45f, 0.15f};
  if (code_high == 15) return {16, 4, 12.75f, 0.25f, -0.3f, 0.3f};
  return {16, 4, 28.0f, 0.25f, -0.3f, 0.3f};
}

struct FittedScaleAndMin {
  float scale = 0, min = 0;
  float codes = 0, curvature = 0, weights = 0;
};

FittedScaleAndMin fit_scale_and_min(float code_high, bool min_is_free, const float* values,
                                    const float* weights, int n_values) {
  Range range = range_of(values, n_values);
  if (!min_is_free && range.low > 0) range.low = 0;
  FittedScaleAndMin found;
  for (int i = 0; i < n_values; ++i) found.weights += weights[i];
  float width = range.high - range.low;
  if (!(width > 0)) {
    found.min = -range.low;
    return found;
  }
  Candidates plan = candidates_for(code_high);
  float scales[kMaxCandidates], mins[kMaxCandidates];
  int n = plan.n_steps * plan.n_shifts;
  for (int c = 0; c < n; ++c) {
    scales[c] = width / (plan.first_steps + plan.step_of_steps * float(c / plan.n_shifts));
    mins[c] = -range.low - scales[c] * (plan.first_shift + plan.step_of_shifts * float(c % plan.n_shifts));
    if (!min_is_free && mins[c] < 0) mins[c] = 0;
  }
  ScaleMinFit fit;
  grid_fit().scales_and_mins(values, weights, n_values, code_high, scales, mins, n, fit);
  int n_neighbours = n / kCandidateStep;
  for (int group = 0; group < kCandidateStep; ++group) {
    int best = group * n_neighbours + best_of(fit.refit_error + group * n_neighbours, n_neighbours);
    scales[group] = fit.refit_scale[best];
    mins[group] = fit.refit_min[best];
  }
  grid_fit().scales_and_mins(values, weights, n_values, code_high, scales, mins, kCandidateStep, fit);
  int best = best_of(fit.refit_error, kCandidateStep);
  found.scale = fit.refit_scale[best], found.min = fit.refit_min[best];
  found.codes = fit.codes[best], found.curvature = fit.curvature[best];
  return found;
}

struct TriedPair {
  float scale = 0, min = 0, error = kInfinity, better_scale = 0, better_min = 0;
  int scales[kMaxSubBlocks] = {}, mins[kMaxSubBlocks] = {};
};

struct SubScaleMinSearch {
  float code_high;
  const float *values, *weights;
  int n_sub_blocks, n_values, high;
  FittedScaleAndMin fitted[kMaxSubBlocks];

  // The least-squares minimum of a sub-block when its scale becomes `scale` and the codes stay.
  float min_for_scale(int sub, float scale) const {
    const FittedScaleAndMin& at = fitted[sub];
    float min = at.min + (at.weights > 0 ? at.codes / at.weights * (scale - at.scale) : 0.0f);
    return min > 0 ? min : 0.0f;
  }

  // True error with the small integers near the fitted grid, n_scales by n_mins of them, at most
  // kMaxCandidates.
  TriedPair try_pair(float scale, float min, int n_scales, int n_mins) const {
    TriedPair tried;
    tried.scale = scale, tried.min = min, tried.error = 0;
    double qq = 0, qm = 0, mm = 0, rq = 0, rm = 0;
    ScaleMinFit fit;
    for (int sub = 0; sub < n_sub_blocks; ++sub) {
      float scales[kMaxCandidates], mins[kMaxCandidates];
      int scale_integers[kMaxCandidates], min_integers[kMaxCandidates];
      int first_scale =
          floor_within(scale != 0 ? fitted[sub].scale / scale : 0.0f, 0, high) - (n_scales / 2 - 1);
      int c = 0;
      for (int k = 0; k < n_scales; ++k) {
        int scale_integer = clamp(first_scale + k, 0, high);
        float sub_scale = scale * float(scale_integer);
        float wanted = min_for_scale(sub, sub_scale);
        int first_min = floor_within(min != 0 ? wanted / min : 0.0f, 0, high) - (n_mins / 2 - 1);
        for (int m = 0; m < n_mins; ++m, ++c) {
          scale_integers[c] = scale_integer;
          min_integers[c] = clamp(first_min + m, 0, high);
          scales[c] = sub_scale;
          mins[c] = min * float(min_integers[c]);
        }
      }
      grid_fit().scales_and_mins(values + sub * n_values, weights + sub * n_values, n_values, code_high,
                                 scales, mins, c, fit);
      int best = best_of(fit.error, c);
      float k = float(scale_integers[best]), m = float(min_integers[best]);
      tried.scales[sub] = scale_integers[best];
      tried.mins[sub] = min_integers[best];
      tried.error += fit.error[best];
      qq += k * k * fit.curvature[best];
      qm += k * m * fit.codes[best];
      mm += m * m * fitted[sub].weights;
      rq += k * fit.slope[best];
      rm += m * fit.rests[best];
    }
    // Least squares for both super-block numbers with all integers fixed.
    double determinant = qq * mm - qm * qm;
    tried.better_scale = scale, tried.better_min = min;
    if (determinant > 1e-9 * qq * mm) {
      tried.better_scale += float((rq * mm - qm * rm) / determinant);
      tried.better_min += float((rq * qm - qq * rm) / determinant);
    } else if (qq > 0) {
      tried.better_scale += float(rq / qq);
    }
    if (tried.better_min < 0) tried.better_min = 0;
    return tried;
  }
};

constexpr int kTriedScales = 3;

// Halves near the best scales (or mins) of the quadratic model.
void best_super_scales(const float* fitted, const float* curvatures, int n_sub_blocks, int high,
                       float best[kTriedScales]) {
  float largest = 0;
  for (int sub = 0; sub < n_sub_blocks; ++sub) largest = fitted[sub] > largest ? fitted[sub] : largest;
  for (int t = 0; t < kTriedScales; ++t) best[t] = 0;
  if (largest == 0) return;
  float scales[kMaxCandidates];
  int n = high > 32 ? 128 : 64;
  for (int c = 0; c < n; ++c)
    scales[c] = largest / (c < high ? float(high - c) : float(high) * (0.7f + 0.01f * float(c - high)));
  ScaleFit fit;
  grid_fit().scales(fitted, curvatures, n_sub_blocks, 0.0f, float(high), scales, n, fit);
  for (int t = 0; t < kTriedScales; ++t) {
    int c = best_of(fit.refit_error, n);
    best[t] = half_value(fit.refit_scale[c]);
    for (int other = 0; other < n; ++other)
      if (std::fabs(fit.refit_scale[other] - best[t]) < 0.004f * best[t]) fit.refit_error[other] = kInfinity;
  }
}

}  // namespace

ScaleAndMin find_scale_and_min(float high, const float* values, const float* weights, int n_values) {
  FittedScaleAndMin fitted = fit_scale_and_min(high, true, values, weights, n_values);
  float scales[kCandidateStep], mins[kCandidateStep];
  uint16_t scale = finite_half(fitted.scale), min = finite_half(-fitted.min);
  uint16_t halves[kCandidateStep], min_halves[kCandidateStep];
  for (int c = 0; c < kCandidateStep; ++c) {
    int up = c / 4 - 1, up_min = c % 4 - 1;
    halves[c] = uint16_t(scale + (scale + up < 0x7bff && scale + up >= 0 ? up : 0));
    int magnitude = min & 0x7fff;
    min_halves[c] = uint16_t(min + (magnitude + up_min < 0x7bff && magnitude + up_min >= 0 ? up_min : 0));
    scales[c] = float_from_half(halves[c]);
    mins[c] = -float_from_half(min_halves[c]);
  }
  ScaleMinFit fit;
  grid_fit().scales_and_mins(values, weights, n_values, high, scales, mins, kCandidateStep, fit);
  int best = best_of(fit.error, kCandidateStep);
  return {halves[best], min_halves[best]};
}

SubScalesAndMins find_sub_scales_and_mins(int code_high, const float* values, const float* weights,
                                          int n_sub_blocks, int n_values, int high) {
  SubScaleMinSearch search{float(code_high), values, weights, n_sub_blocks, n_values, high, {}};
  float fitted[kMaxSubBlocks], curvatures[kMaxSubBlocks], mins[kMaxSubBlocks], sub_weights[kMaxSubBlocks];
  for (int sub = 0; sub < n_sub_blocks; ++sub) {
    auto& at = search.fitted[sub];
    at = fit_scale_and_min(float(code_high), false, values + sub * n_values, weights + sub * n_values,
                           n_values);
    if (at.scale < 0) at.scale = 0;
    fitted[sub] = at.scale;
    // With the minimum following, the error rises less with the scale.
    curvatures[sub] = at.weights > 0 ? at.curvature - at.codes * at.codes / at.weights : 0.0f;
    sub_weights[sub] = at.weights;
  }
  float tried_scales[kTriedScales];
  best_super_scales(fitted, curvatures, n_sub_blocks, high, tried_scales);
  TriedPair best;
  for (float scale : tried_scales) {
    for (int sub = 0; sub < n_sub_blocks; ++sub) {
      float integer = scale != 0 ? float(floor_within(fitted[sub] / scale + 0.5f, 0, high)) : 0.0f;
      mins[sub] = search.min_for_scale(sub, scale * integer);
    }
    float tried_mins[kTriedScales];
    best_super_scales(mins, sub_weights, n_sub_blocks, high, tried_mins);
    for (int t = 0; t < 2; ++t) {
      TriedPair tried = search.try_pair(scale, tried_mins[t], 4, 4);
      if (tried.error < best.error) best = tried;
    }
  }
  for (int round = 0; round < 4; ++round) {
    TriedPair tried = search.try_pair(half_value(best.better_scale), half_value(best.better_min), 4, 8);
    if (!(tried.error < best.error)) break;
    best = tried;
  }
  SubScalesAndMins found = {};
  found.scale = finite_half(best.scale), found.min = finite_half(best.min);
  for (int sub = 0; sub < n_sub_blocks; ++sub)
    found.scales[sub] = best.scales[sub], found.mins[sub] = best.mins[sub];
  return found;
}

}  // namespace edgellm
