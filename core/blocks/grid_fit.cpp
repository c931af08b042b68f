#include "core/blocks/grid_fit.h"

#include <cstring>
#include <initializer_list>

#include "core/blocks/lane_vectors.inl.h"

namespace edgellm {
namespace {

// Sums over one run of values against one grid a lane. Values and weights are the same for all lanes, or one
// a lane.
template <class Vector>
struct Shared {
  const float* from;
  EDGELLM_INLINE float at(int i) const { return from[i]; }
};

// The error alone, in fewer operations than the sums.
template <class Vector, class Run, class Rounding>
EDGELLM_INLINE Vector error_of(const Run& values, const Run& weights, int n_values, const Rounding& levels,
                               const Vector& scale) {
  Vector inverse = inverse_or_zero(scale), error{};
  for (int i = 0; i < n_values; ++i) {
    auto x = values.at(i);
    Vector rest = x - scale * levels.nearest(x * inverse);
    error += weights.at(i) * rest * rest;
  }
  return error;
}

template <class Vector, class Run>
EDGELLM_INLINE Vector error_of(const Run& values, const Run& weights, int n_values, float high,
                               const Vector& scale, const Vector& min) {
  Vector inverse = inverse_or_zero(scale), error{};
  for (int i = 0; i < n_values; ++i) {
    Vector raised = values.at(i) + min;
    Vector rest = raised - scale * rounded(raised * inverse, 0.0f, high);
    error += weights.at(i) * rest * rest;
  }
  return error;
}

template <class Vector>
struct ScaleSums {
  Vector error{}, slope{}, curvature{};  // of w r^2, w r q, w q^2, with the rest r = x - s q

  template <class Run, class Rounding>
  EDGELLM_INLINE void add(const Run& values, const Run& weights, int n_values, const Rounding& levels,
                          const Vector& scale) {
    Vector inverse = inverse_or_zero(scale);
    for (int i = 0; i < n_values; ++i) {
      auto x = values.at(i), w = weights.at(i);
      Vector code = levels.nearest(x * inverse);
      Vector rest = x - scale * code;
      Vector weighted_rest = w * rest;
      error += weighted_rest * rest;
      slope += weighted_rest * code;
      curvature += w * code * code;
    }
  }

  // Least squares with the codes fixed.
  EDGELLM_INLINE void refit(Vector& scale, Vector& refit_error) const {
    Vector change = slope * inverse_or_zero(curvature);
    scale += change;
    refit_error = error - change * slope;
  }
};

template <class Vector>
struct ScaleMinSums {
  Vector error{}, rests{}, slope{}, codes{},
      curvature{};  // of w r^2, w r, w r q, w q, w q^2, with r = x + m - s q

  template <class Run>
  EDGELLM_INLINE void add(const Run& values, const Run& weights, int n_values, float high,
                          const Vector& scale, const Vector& min) {
    Vector inverse = inverse_or_zero(scale);
    for (int i = 0; i < n_values; ++i) {
      auto w = weights.at(i);
      Vector raised = values.at(i) + min;
      Vector code = rounded(raised * inverse, 0.0f, high);
      Vector rest = raised - scale * code;
      Vector weighted_code = w * code, weighted_rest = w * rest;
      rests += weighted_rest;
      error += weighted_rest * rest;
      slope += weighted_rest * code;
      codes += weighted_code;
      curvature += weighted_code * code;
    }
  }

  // Least squares with the codes fixed. After the scale changes by a and the minimum by b the error is
  // error + 2 b R - 2 a T + b^2 W + a^2 Q - 2 a b S, R = rests, T = slope, S = codes, Q = curvature.
  EDGELLM_INLINE void refit(const Vector& all_weights, float least_min, Vector& scale, Vector& min,
                            Vector& refit_error) const {
    Vector zero{}, determinant = curvature * all_weights - codes * codes;
    // With all codes equal there is nothing to learn about the scale.
    Vector usable = determinant > 1e-6f * curvature * all_weights ? determinant : zero;
    Vector scale_change = (all_weights * slope - codes * rests) * inverse_or_zero(usable);
    Vector min_change = (scale_change * codes - rests) * inverse_or_zero(all_weights);
    Vector bound_change = (slope + (least_min - min) * codes) * inverse_or_zero(curvature);
    auto below = min + min_change < least_min;
    scale_change = below ? bound_change : scale_change;
    min_change = below ? least_min - min : min_change;
    refit_error = error + min_change * (2.0f * rests + min_change * all_weights) +
                  scale_change * (scale_change * curvature - 2.0f * slope - 2.0f * min_change * codes);
    refit_error = refit_error > zero ? refit_error : zero;
    scale += scale_change;
    min += min_change;
  }
};

template <class Vector, class Rounding>
EDGELLM_INLINE void fit_scales(const float* values, const float* weights, int n_values,
                               const Rounding& levels, const float* scales, int n_candidates, ScaleFit& fit) {
  constexpr int kWidth = sizeof(Vector) / sizeof(float);
  for (int c = 0; c < n_candidates; c += kWidth) {
    Vector scale = load<Vector>(scales + c), refit_error;
    ScaleSums<Vector> sums;
    sums.add(Shared<Vector>{values}, Shared<Vector>{weights}, n_values, levels, scale);
    sums.refit(scale, refit_error);
    store(fit.error + c, sums.error);
    store(fit.refit_scale + c, scale);
    store(fit.refit_error + c, refit_error);
  }
}

template <class Vector>
EDGELLM_INLINE void fit_scales_and_mins(const float* values, const float* weights, int n_values, float high,
                                        const float* scales, const float* mins, int n_candidates,
                                        ScaleMinFit& fit) {
  constexpr int kWidth = sizeof(Vector) / sizeof(float);
  float all_weights = 0;
  for (int i = 0; i < n_values; ++i) all_weights += weights[i];
  for (int c = 0; c < n_candidates; c += kWidth) {
    Vector scale = load<Vector>(scales + c), min = load<Vector>(mins + c), refit_error;
    ScaleMinSums<Vector> sums;
    sums.add(Shared<Vector>{values}, Shared<Vector>{weights}, n_values, high, scale, min);
    sums.refit(Vector{} + all_weights, -3.0e38f, scale, min, refit_error);
    store(fit.error + c, sums.error);
    store(fit.refit_scale + c, scale);
    store(fit.refit_min + c, min);
    store(fit.refit_error + c, refit_error);
  }
}

template <class Vector, class Rounding>
EDGELLM_INLINE void fit_sub_blocks(const SubBlocks& blocks, const Rounding& rounding, const Levels& levels,
                                   FittedScales& fitted) {
  constexpr int kWidth = sizeof(Vector) / sizeof(float);
  Vector zero{};
  for (int sub = 0; sub < blocks.n_sub_blocks; sub += kWidth) {
    PerLane<Vector> values{blocks.values + sub, blocks.n_sub_blocks},
        weights{blocks.weights + sub, blocks.n_sub_blocks};
    Vector largest{};
    for (int i = 0; i < blocks.n_values; ++i) {
      Vector x = values.at(i);
      largest = x * x > largest * largest ? x : largest;
    }
    Vector best_error = zero + 3.0e38f, best_scale{}, best_curvature{};
    for (int target = 0; target < levels.n_targets; target += 4) {
      Vector group_error = zero + 3.0e38f, group_scale{};
      for (int t = target; t < target + 4; ++t) {
        Vector scale = largest * (1.0f / levels.targets[t]), error;
        ScaleSums<Vector> sums;
        sums.add(values, weights, blocks.n_values, rounding, scale);
        sums.refit(scale, error);
        auto better = error < group_error;
        group_error = better ? error : group_error;
        group_scale = better ? scale : group_scale;
      }
      Vector error;
      ScaleSums<Vector> sums;
      sums.add(values, weights, blocks.n_values, rounding, group_scale);
      sums.refit(group_scale, error);
      auto better = error < best_error;
      best_error = better ? error : best_error;
      best_scale = better ? group_scale : best_scale;
      best_curvature = better ? sums.curvature : best_curvature;
    }
    store(fitted.scale + sub, best_scale);
    store(fitted.curvature + sub, best_curvature);
  }
}

// The first of n whole numbers around v.
template <class Vector>
EDGELLM_INLINE Vector first_around(const Vector& v, float low, float high, int n) {
  return rounded(v - 0.5f, low, high) - float(n / 2 - 1);
}

template <class Vector, class Rounding>
EDGELLM_INLINE void try_scale(const SubBlocks& blocks, const Rounding& rounding, const FittedScales& fitted,
                              float scale, float low, float high, int n_integers, TriedScale& tried) {
  constexpr int kWidth = sizeof(Vector) / sizeof(float);
  for (int sub = 0; sub < blocks.n_sub_blocks; sub += kWidth) {
    PerLane<Vector> values{blocks.values + sub, blocks.n_sub_blocks},
        weights{blocks.weights + sub, blocks.n_sub_blocks};
    Vector zero{}, first = first_around(load<Vector>(fitted.scale + sub) * inverse_or_zero(zero + scale), low,
                                        high, n_integers);
    Vector best_error = zero + 3.0e38f, best_integer{};
    for (int k = 0; k < n_integers; ++k) {
      Vector integer = clamped(first + float(k), low, high);
      Vector error = error_of(values, weights, blocks.n_values, rounding, Vector(integer * scale));
      best_integer = error < best_error ? integer : best_integer;
      best_error = error < best_error ? error : best_error;
    }
    ScaleSums<Vector> best;
    best.add(values, weights, blocks.n_values, rounding, best_integer * scale);
    store(tried.integer + sub, best_integer);
    store(tried.error + sub, best.error);
    store(tried.slope + sub, best.slope);
    store(tried.curvature + sub, best.curvature);
  }
}

template <class Vector>
EDGELLM_INLINE void fit_sub_blocks_with_min(const SubBlocks& blocks, float code_high, const RangeCuts& cuts,
                                            FittedScalesAndMins& fitted) {
  constexpr int kWidth = sizeof(Vector) / sizeof(float);
  Vector zero{};
  for (int sub = 0; sub < blocks.n_sub_blocks; sub += kWidth) {
    PerLane<Vector> values{blocks.values + sub, blocks.n_sub_blocks},
        weights{blocks.weights + sub, blocks.n_sub_blocks};
    Vector low{}, high = values.at(0), all_weights{};
    for (int i = 0; i < blocks.n_values; ++i) {
      Vector x = values.at(i);
      low = x < low ? x : low;
      high = x > high ? x : high;
      all_weights += weights.at(i);
    }
    Vector width = high - low, best_error = zero + 3.0e38f, best_scale{}, best_min = -low, best_codes{},
           best_curvature{};
    for (int step = 0; step < cuts.n_steps; ++step) {
      Vector cut = width * (1.0f / (cuts.first_steps + cuts.step_of_steps * float(step)));
      Vector group_error = zero + 3.0e38f, group_scale{}, group_min{};
      for (int shift = 0; shift < cuts.n_shifts; ++shift) {
        Vector scale = cut, min = -low - cut * (cuts.first_shift + cuts.step_of_shifts * float(shift)), error;
        min = min > zero ? min : zero;
        ScaleMinSums<Vector> sums;
        sums.add(values, weights, blocks.n_values, code_high, scale, min);
        sums.refit(all_weights, 0.0f, scale, min, error);
        auto better = error < group_error;
        group_error = better ? error : group_error;
        group_scale = better ? scale : group_scale;
        group_min = better ? min : group_min;
      }
      Vector error;
      ScaleMinSums<Vector> sums;
      sums.add(values, weights, blocks.n_values, code_high, group_scale, group_min);
      sums.refit(all_weights, 0.0f, group_scale, group_min, error);
      auto better = error < best_error;
      best_error = better ? error : best_error;
      best_scale = better ? group_scale : best_scale;
      best_min = better ? group_min : best_min;
      best_codes = better ? sums.codes : best_codes;
      best_curvature = better ? sums.curvature : best_curvature;
    }
    best_scale = best_scale > zero ? best_scale : zero;
    store(fitted.scale + sub, best_scale);
    store(fitted.min + sub, best_min);
    store(fitted.curvature + sub, best_curvature);
    store(fitted.sum_codes + sub, best_codes);
    store(fitted.sum_weights + sub, all_weights);
    store(fitted.error + sub, best_error);
  }
}

template <class Vector>
EDGELLM_INLINE void try_scale_and_min(const SubBlocks& blocks, float code_high,
                                      const FittedScalesAndMins& fitted, float scale, float min, float high,
                                      int n_scales, int n_mins, int n_shifts, TriedScaleAndMin& tried) {
  constexpr int kWidth = sizeof(Vector) / sizeof(float);
  Vector zero{}, inverse_scale = inverse_or_zero(zero + scale), inverse_min = inverse_or_zero(zero + min);
  for (int sub = 0; sub < blocks.n_sub_blocks; sub += kWidth) {
    PerLane<Vector> values{blocks.values + sub, blocks.n_sub_blocks},
        weights{blocks.weights + sub, blocks.n_sub_blocks};
    Vector fitted_scale = load<Vector>(fitted.scale + sub), fitted_min = load<Vector>(fitted.min + sub);
    Vector mean_code =
        load<Vector>(fitted.sum_codes + sub) * inverse_or_zero(load<Vector>(fitted.sum_weights + sub));
    Vector first_scale = first_around(fitted_scale * inverse_scale, 0.0f, high, n_scales);
    Vector best_error = zero + 3.0e38f, best_scale{}, best_min{};
    for (int k = 0; k < n_scales; ++k) {
      Vector scale_integer = clamped(first_scale + float(k), 0.0f, high), sub_scale = scale_integer * scale;
      for (int shift = -(n_shifts / 2); shift <= n_shifts / 2; ++shift) {
        // The least-squares minimum for this scale and the fitted codes, all moved by the shift.
        Vector wanted = fitted_min + mean_code * (sub_scale - fitted_scale) + float(shift) * sub_scale;
        Vector first_min = first_around(wanted * inverse_min, 0.0f, high, n_mins);
        for (int m = 0; m < n_mins; ++m) {
          Vector min_integer = clamped(first_min + float(m), 0.0f, high);
          Vector error =
              error_of(values, weights, blocks.n_values, code_high, sub_scale, Vector(min_integer * min));
          auto better = error < best_error;
          best_error = better ? error : best_error;
          best_scale = better ? scale_integer : best_scale;
          best_min = better ? min_integer : best_min;
        }
      }
    }
    ScaleMinSums<Vector> best;
    best.add(values, weights, blocks.n_values, code_high, best_scale * scale, best_min * min);
    store(tried.scale_integer + sub, best_scale);
    store(tried.min_integer + sub, best_min);
    store(tried.error + sub, best.error);
    store(tried.sum_rests + sub, best.rests);
    store(tried.slope + sub, best.slope);
    store(tried.curvature + sub, best.curvature);
    store(tried.sum_codes + sub, best.codes);
  }
}

// One set of functions; Wide for 16 candidates or sub-blocks, Narrow for 8 sub-blocks.
#define EDGELLM_GRID_FIT(set, Wide, Narrow, attribute)                                                       \
  attribute void scales_##set(const float* values, const float* weights, int n_values, const Levels& levels, \
                              const float* scales, int n_candidates, ScaleFit& fit) {                        \
    if (levels.iq4)                                                                                          \
      fit_scales<Wide>(values, weights, n_values, Iq4Levels{}, scales, n_candidates, fit);                   \
    else                                                                                                     \
      fit_scales<Wide>(values, weights, n_values, WholeNumbers{levels.low, levels.high}, scales,             \
                       n_candidates, fit);                                                                   \
  }                                                                                                          \
  attribute void scales_and_mins_##set(const float* values, const float* weights, int n_values, float high,  \
                                       const float* scales, const float* mins, int n_candidates,             \
                                       ScaleMinFit& fit) {                                                   \
    fit_scales_and_mins<Wide>(values, weights, n_values, high, scales, mins, n_candidates, fit);             \
  }                                                                                                          \
  attribute void fit_sub_blocks_##set(const SubBlocks& blocks, const Levels& levels, FittedScales& fitted) { \
    if (levels.iq4)                                                                                          \
      fit_sub_blocks<Narrow>(blocks, Iq4Levels{}, levels, fitted);                                           \
    else                                                                                                     \
      fit_sub_blocks<Wide>(blocks, WholeNumbers{levels.low, levels.high}, levels, fitted);                   \
  }                                                                                                          \
  attribute void try_scale_##set(const SubBlocks& blocks, const Levels& levels, const FittedScales& fitted,  \
                                 float scale, float low, float high, int n_integers, TriedScale& tried) {    \
    if (levels.iq4)                                                                                          \
      try_scale<Narrow>(blocks, Iq4Levels{}, fitted, scale, low, high, n_integers, tried);                   \
    else                                                                                                     \
      try_scale<Wide>(blocks, WholeNumbers{levels.low, levels.high}, fitted, scale, low, high, n_integers,   \
                      tried);                                                                                \
  }                                                                                                          \
  attribute void fit_sub_blocks_with_min_##set(const SubBlocks& blocks, float code_high,                     \
                                               const RangeCuts& cuts, FittedScalesAndMins& fitted) {         \
    if (blocks.n_sub_blocks == 8)                                                                            \
      fit_sub_blocks_with_min<Narrow>(blocks, code_high, cuts, fitted);                                      \
    else                                                                                                     \
      fit_sub_blocks_with_min<Wide>(blocks, code_high, cuts, fitted);                                        \
  }                                                                                                          \
  attribute void try_scale_and_min_##set(                                                                    \
      const SubBlocks& blocks, float code_high, const FittedScalesAndMins& fitted, float scale, float min,   \
      float high, int n_scales, int n_mins, int n_shifts, TriedScaleAndMin& tried) {                         \
    if (blocks.n_sub_blocks == 8)                                                                            \
      try_scale_and_min<Narrow>(blocks, code_high, fitted, scale, min, high, n_scales, n_mins, n_shifts,     \
                                tried);                                                                      \
    else                                                                                                     \
      try_scale_and_min<Wide>(blocks, code_high, fitted, scale, min, high, n_scales, n_mins, n_shifts,       \
                              tried);                                                                        \
  }                                                                                                          \
  constexpr GridFit kGridFit_##set = {#set,                                                                  \
                                      scales_##set,                                                          \
                                      scales_and_mins_##set,                                                 \
                                      fit_sub_blocks_##set,                                                  \
                                      try_scale_##set,                                                       \
                                      fit_sub_blocks_with_min_##set,                                         \
                                      try_scale_and_min_##set};

EDGELLM_GRID_FIT(generic, Float4, Float4, )
#if defined(__x86_64__)
EDGELLM_GRID_FIT(avx2, Float8, Float8, __attribute__((target("avx2"))))
EDGELLM_GRID_FIT(avx512, Float16, Float8, __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw"))))
#endif

const GridFit& widest() {
  for (const char* name : {"avx512", "avx2"})
    if (const GridFit* fit = find_grid_fit(name)) return *fit;
  return kGridFit_generic;
}

}  // namespace

const GridFit* find_grid_fit(const char* name) {
#if defined(__x86_64__)
  if (!std::strcmp(name, "avx512") && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw"))
    return &kGridFit_avx512;
  if (!std::strcmp(name, "avx2") && __builtin_cpu_supports("avx2")) return &kGridFit_avx2;
#endif
  return std::strcmp(name, "generic") ? nullptr : &kGridFit_generic;
}

const GridFit& grid_fit() {
  static const GridFit& fit = widest();
  return fit;
}

}  // namespace edgellm
