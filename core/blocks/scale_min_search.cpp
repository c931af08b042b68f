// The half of scale_search.h that is about grids with a minimum.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "core/base/float16.h"
#include "core/blocks/scale_search.h"

namespace edgellm {
namespace {

// Error times squared levels over energy: ordinary weights are above 0.5, grid values at most a fifth of
// that.
constexpr float kGridHint = 0.1f;
// The same without the weights, by which the grid was chosen: those that weigh little may be a code off.
constexpr float kPlainGridHint = 0.3f;
// Error over energy of values that lie on the grid found, but for rounding.
constexpr float kOnGrid = 1e-6f;
// Of an error: below this share of it a grid is another one.
constexpr float kAnotherGrid = 0.999f;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

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

// Found by trial on normal, heavy-tailed and real weights: more cuts gain less than a hundredth.
RangeCuts cuts_for(float code_high, bool tries_turned = false) {
  // Each of two fits takes over what the other found better: fewer do.
  if (tries_turned) return {8, 4, 2.0f, 0.45f, -0.25f, 0.25f};
  if (code_high == 3) return {12, 6, 2.0f, 0.3f, -0.5f, 0.25f};
  if (code_high == 15) return {16, 4, 12.5f, 0.5f, -0.5f, 0.8f};
  return {16, 4, 26.0f, 0.6f, -0.5f, 0.5f};
}

struct SuperScaleAndMin {
  float scale = 0, min = 0, error = kInfinity, better_scale = 0, better_min = 0;
  TriedScaleAndMin sub_blocks = {};
};

// True error with the integers near the fitted grids, and the least-squares scale and minimum for the codes
// and integers it took.
SuperScaleAndMin try_super_pair(const SubBlocks& blocks, float code_high, const FittedScalesAndMins& fitted,
                                float scale, float min, int high, int n_scales, int n_mins, int n_shifts) {
  SuperScaleAndMin tried;
  tried.scale = tried.better_scale = scale, tried.min = tried.better_min = min, tried.error = 0;
  const TriedScaleAndMin& sums = tried.sub_blocks;
  grid_fit().try_scale_and_min(blocks, code_high, fitted, scale, min, float(high), n_scales, n_mins, n_shifts,
                               tried.sub_blocks);
  double qq = 0, qm = 0, mm = 0, rq = 0, rm = 0;
  for (int sub = 0; sub < blocks.n_sub_blocks; ++sub) {
    double k = sums.scale_integer[sub], m = sums.min_integer[sub];
    tried.error += sums.error[sub];
    qq += k * k * sums.curvature[sub];
    qm += k * m * sums.sum_codes[sub];
    mm += m * m * fitted.sum_weights[sub];
    rq += k * sums.slope[sub];
    rm += m * sums.sum_rests[sub];
  }
  double determinant = qq * mm - qm * qm;
  if (determinant > 1e-9 * qq * mm) {
    tried.better_scale += float((rq * mm - qm * rm) / determinant);
    tried.better_min += float((rq * qm - qq * rm) / determinant);
  } else if (qq > 0) {
    tried.better_scale += float(rq / qq);
  }
  if (tried.better_min < 0) tried.better_min = 0;
  return tried;
}

// Up to n_best halves that are best for the fitted scales (or minima) in the quadratic model, best first.
void best_super_scales(const float* fitted, const float* curvatures, int n_sub_blocks, int high, int n_best,
                       float* best) {
  float largest = 0;
  for (int sub = 0; sub < n_sub_blocks; ++sub) largest = fitted[sub] > largest ? fitted[sub] : largest;
  for (int t = 0; t < n_best; ++t) best[t] = 0;
  if (largest == 0) return;
  // First the scales that put the largest at a whole number, then some around the finest.
  float scales[kMaxCandidates];
  int n = high > 32 ? 128 : 64;
  for (int c = 0; c < n; ++c)
    scales[c] = largest / (c < high ? float(high - c) : float(high) * (0.7f + 0.01f * float(c - high)));
  ScaleFit fit;
  Levels integers = {false, 0.0f, float(high), nullptr, 0};
  grid_fit().scales(fitted, curvatures, n_sub_blocks, integers, scales, n, fit);
  for (int t = 0; t < n_best; ++t) {
    int c = best_of(fit.refit_error, n);
    best[t] = half_value(fit.refit_scale[c]);
    for (int other = 0; other < n; ++other)
      if (std::fabs(fit.refit_scale[other] - best[t]) < 0.004f * best[t]) fit.refit_error[other] = kInfinity;
  }
}

// Fitted grids of the values' negatives: the same levels, counted from the other end.
FittedScalesAndMins turned_around(const FittedScalesAndMins& fitted, float code_high, int n_sub_blocks) {
  FittedScalesAndMins turned = fitted;
  for (int sub = 0; sub < n_sub_blocks; ++sub) {
    const float min = code_high * fitted.scale[sub] - fitted.min[sub];
    turned.min[sub] = min > 0 ? min : 0.0f;
    turned.sum_codes[sub] = code_high * fitted.sum_weights[sub] - fitted.sum_codes[sub];
    turned.curvature[sub] =
        fitted.curvature[sub] + code_high * (code_high * fitted.sum_weights[sub] - 2 * fitted.sum_codes[sub]);
  }
  return turned;
}

// Of two fits of the same values the better one of each sub-block, where it is another grid: two that differ
// find the better pair for all sub-blocks more often than one. A minimum that had to stay at zero may be
// another grid's, turned around.
void take_better(const FittedScalesAndMins& other, int n_sub_blocks, FittedScalesAndMins& fitted) {
  for (int sub = 0; sub < n_sub_blocks; ++sub) {
    if (!(other.error[sub] < kAnotherGrid * fitted.error[sub]) || !(other.min[sub] > 0)) continue;
    fitted.scale[sub] = other.scale[sub], fitted.min[sub] = other.min[sub];
    fitted.curvature[sub] = other.curvature[sub], fitted.sum_codes[sub] = other.sum_codes[sub];
    fitted.error[sub] = other.error[sub];
  }
}

struct PairSearch {
  const SubBlocks blocks;
  const float code_high;
  const FittedScalesAndMins& fitted;
  const int n_sub_blocks, high;
  const float energy;  // of the values, weighed
  float mean_codes[kMaxSubBlocks], curvatures[kMaxSubBlocks];
  SuperScaleAndMin best = {};

  PairSearch(const SubBlocks& b, float top_code, const FittedScalesAndMins& f, int highest,
             float values_energy)
      : blocks(b),
        code_high(top_code),
        fitted(f),
        n_sub_blocks(b.n_sub_blocks),
        high(highest),
        energy(values_energy) {
    for (int sub = 0; sub < n_sub_blocks; ++sub) {
      float sum_weights = fitted.sum_weights[sub], sum_codes = fitted.sum_codes[sub];
      mean_codes[sub] = sum_weights > 0 ? sum_codes / sum_weights : 0.0f;
      // With the minimum following, the error rises less with the scale.
      float curvature = fitted.curvature[sub] - sum_codes * mean_codes[sub];
      curvatures[sub] = curvature > 0 ? curvature : 0.0f;
    }
  }

  void begin() { try_likely_pairs(2, 1); }

  // An error far below what this many levels leave of ordinary values means that the values lie on a grid of
  // this very format; that one is worth finding exactly.
  // Weights that differ much make the weighed error small for any values, so the plain one must be too.
  bool may_be_on_grid() const {
    const float per_level = code_high * code_high;
    if (!(best.error > 0 && best.error * per_level < kGridHint * energy)) return false;
    float error = 0, plain_energy = 0;
    for (int i = 0; i < blocks.n_values; ++i)
      for (int sub = 0; sub < n_sub_blocks; ++sub) {
        const float scale = best.scale * best.sub_blocks.scale_integer[sub],
                    min = best.min * best.sub_blocks.min_integer[sub],
                    x = blocks.values[i * n_sub_blocks + sub];
        const float code =
                        scale > 0 ? std::clamp(std::floor((x + min) / scale + 0.5f), 0.0f, code_high) : 0.0f,
                    rest = x - (scale * code - min);
        error += rest * rest, plain_energy += x * x;
      }
    return error * per_level < kPlainGridHint * plain_energy;
  }

  void finish() {
    refine(8, 1);
    if (!may_be_on_grid()) return;
    try_grid_pair();
    if (best.error > kOnGrid * energy) refine(4, 3);
  }

  void try_pair(float scale, float min, int n_mins, int n_shifts) {
    SuperScaleAndMin tried = try_super_pair(blocks, code_high, fitted, scale, min, high, 4, n_mins, n_shifts);
    if (tried.error < best.error) best = tried;
  }

  // Pairs that are good in the quadratic model.
  void try_likely_pairs(int n_tried_scales, int n_tried_mins) {
    constexpr int kMostTried = 8;
    float scales[kMostTried], super_mins[kMostTried], mins[kMaxSubBlocks];
    best_super_scales(fitted.scale, curvatures, n_sub_blocks, high, n_tried_scales, scales);
    for (int t = 0; t < n_tried_scales; ++t) {
      for (int sub = 0; sub < n_sub_blocks; ++sub) {
        float integer = scales[t] != 0 ? fitted.scale[sub] / scales[t] : 0.0f;
        integer = integer < float(high) ? std::floor(integer + 0.5f) : float(high);
        float min = fitted.min[sub] + mean_codes[sub] * (scales[t] * integer - fitted.scale[sub]);
        mins[sub] = min > 0 ? min : 0.0f;
      }
      best_super_scales(mins, fitted.sum_weights, n_sub_blocks, high, n_tried_mins, super_mins);
      for (int u = 0; u < n_tried_mins; ++u) try_pair(scales[t], super_mins[u], 4, 1);
    }
  }

  // For values on a grid. A sub-block that does not use all codes fits with its minimum a code up or down as
  // well, which misleads the quadratic model: here a super-block minimum is what puts some sub-block's at a
  // whole number and the others near one, whichever of the three each has. Trying more than the likeliest
  // pair found no more grids.
  void try_grid_pair() {
    float scale;
    best_super_scales(fitted.scale, curvatures, n_sub_blocks, high, 1, &scale);
    if (scale == 0) return;
    float best_cost = kInfinity, best_min = 0;
    for (int choice = 0; choice < 3 * n_sub_blocks; ++choice) {
      float shifted = fitted.min[choice / 3] + float(choice % 3 - 1) * fitted.scale[choice / 3];
      for (int whole = high; shifted > 0 && whole > high - 4; --whole) {
        float min = half_value(shifted / float(whole)), cost = min > 0 ? misfit(min, best_cost) : kInfinity;
        if (cost < best_cost) best_cost = cost, best_min = min;
      }
    }
    try_pair(scale, best_min, 2, 3);
  }

  // How far the sub-blocks' minima are from multiples of `min`; no need to go on once it is `enough`.
  float misfit(float min, float enough) const {
    // Adding and taking away 1.5 * 2^23 rounds to the nearest integer, without a call of the library.
    constexpr float kRounder = 12582912.0f;
    float cost = 0, inverse = 1 / min;
    for (int sub = 0; sub < n_sub_blocks && cost < enough; ++sub) {
      float nearest = kInfinity;
      for (int shift = -1; shift <= 1; ++shift) {
        float wanted = fitted.min[sub] + float(shift) * fitted.scale[sub];
        float integer = (wanted * inverse + kRounder) - kRounder;
        float distance = std::fabs(wanted - integer * min);
        bool allowed = integer >= 0 && integer <= float(high);
        nearest = allowed && distance < nearest ? distance : nearest;
      }
      cost += nearest;
    }
    return cost;
  }

  void refine(int n_mins, int n_shifts) {
    for (int round = 0; round < 4; ++round) {
      float before = best.error;
      try_pair(half_value(best.better_scale), half_value(best.better_min), n_mins, n_shifts);
      if (!(best.error < before)) break;
    }
  }
};

}  // namespace

ScaleAndMin find_scale_and_min(float high, const float* values, const float* weights, int n_values) {
  Range range = range_of(values, n_values);
  float width = range.high - range.low, fitted_scale = 0, fitted_min = -range.low;
  ScaleMinFit fit;
  if (width > 0) {
    RangeCuts cuts = cuts_for(high);
    float scales[kMaxCandidates], mins[kMaxCandidates];
    int n = cuts.n_steps * cuts.n_shifts, n_neighbours = n / kCandidateStep;
    for (int c = 0; c < n; ++c) {
      scales[c] = width / (cuts.first_steps + cuts.step_of_steps * float(c / cuts.n_shifts));
      mins[c] = -range.low - scales[c] * (cuts.first_shift + cuts.step_of_shifts * float(c % cuts.n_shifts));
    }
    grid_fit().scales_and_mins(values, weights, n_values, high, scales, mins, n, fit);
    for (int group = 0; group < kCandidateStep; ++group) {
      int best = group * n_neighbours + best_of(fit.refit_error + group * n_neighbours, n_neighbours);
      scales[group] = fit.refit_scale[best], mins[group] = fit.refit_min[best];
    }
    grid_fit().scales_and_mins(values, weights, n_values, high, scales, mins, kCandidateStep, fit);
    int best = best_of(fit.refit_error, kCandidateStep);
    fitted_scale = fit.refit_scale[best], fitted_min = fit.refit_min[best];
  }
  float scales[kCandidateStep], mins[kCandidateStep];
  uint16_t scale = finite_half(fitted_scale), min = finite_half(-fitted_min);
  uint16_t halves[kCandidateStep], min_halves[kCandidateStep];
  for (int c = 0; c < kCandidateStep; ++c) {
    int up = c / 4 - 1, up_min = c % 4 - 1;
    halves[c] = uint16_t(scale + (scale + up < 0x7bff && scale + up >= 0 ? up : 0));
    int magnitude = min & 0x7fff;
    min_halves[c] = uint16_t(min + (magnitude + up_min < 0x7bff && magnitude + up_min >= 0 ? up_min : 0));
    scales[c] = float_from_half(halves[c]);
    mins[c] = -float_from_half(min_halves[c]);
  }
  grid_fit().scales_and_mins(values, weights, n_values, high, scales, mins, kCandidateStep, fit);
  int best = best_of(fit.error, kCandidateStep);
  return {halves[best], min_halves[best]};
}

SubScalesAndMins find_sub_scales_and_mins(int code_high, const float* values, const float* weights,
                                          int n_sub_blocks, int n_values, int high, bool tries_turned) {
  float values_by_sub_block[256], weights_by_sub_block[256], negated[256];
  transpose(values, n_sub_blocks, n_values, values_by_sub_block);
  transpose(weights, n_sub_blocks, n_values, weights_by_sub_block);
  const SubBlocks blocks = {values_by_sub_block, weights_by_sub_block, n_values, n_sub_blocks},
                  turned_blocks = {negated, weights_by_sub_block, n_values, n_sub_blocks};
  const float top = float(code_high);
  const RangeCuts cuts = cuts_for(top, tries_turned);
  FittedScalesAndMins fitted, turned_fitted;
  grid_fit().fit_sub_blocks_with_min(blocks, top, cuts, fitted);
  if (tries_turned) {
    for (int i = 0; i < 256; ++i) negated[i] = -values_by_sub_block[i];
    grid_fit().fit_sub_blocks_with_min(turned_blocks, top, cuts, turned_fitted);
    const FittedScalesAndMins before = fitted;
    take_better(turned_around(turned_fitted, top, n_sub_blocks), n_sub_blocks, fitted);
    take_better(turned_around(before, top, n_sub_blocks), n_sub_blocks, turned_fitted);
  }
  float energy = 0;
  for (int i = 0; i < 256; ++i) energy += weights[i] * values[i] * values[i];

  PairSearch plain(blocks, top, fitted, high, energy);
  std::optional<PairSearch> turned;
  plain.begin();
  if (tries_turned) turned.emplace(turned_blocks, top, turned_fitted, high, energy).begin();
  PairSearch *better = &plain, *other = turned ? &*turned : nullptr;
  if (other && other->best.error < better->best.error) std::swap(better, other);
  better->finish();
  // Of ordinary values the end that is better at the beginning is enough. Which of them is a grid only shows
  // when both are finished.
  if (other && (better->may_be_on_grid() || other->may_be_on_grid())) {
    other->finish();
    if (other->best.error < better->best.error) better = other;
  }
  const SuperScaleAndMin& best = better->best;

  SubScalesAndMins found = {};
  found.error = best.error;
  found.is_turned = better != &plain;
  found.scale = finite_half(best.scale), found.min = finite_half(best.min);
  for (int sub = 0; sub < n_sub_blocks; ++sub) {
    found.scales[sub] = int(best.sub_blocks.scale_integer[sub]);
    found.mins[sub] = int(best.sub_blocks.min_integer[sub]);
  }
  return found;
}

}  // namespace edgellm
