#include "core/blocks/grid_fit.h"

#include <cstring>
#include <initializer_list>

#include "core/blocks/iq4.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wunknown-warning-option"
#endif
// Vectors of the wider sets never leave this file, so that their calling convention does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

#define EDGELLM_INLINE [[gnu::always_inline]] inline

namespace edgellm {
namespace {

typedef float Float4 __attribute__((vector_size(16)));
typedef float Float8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));

template <class Vector>
EDGELLM_INLINE Vector load(const float* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof(Vector));
  return vector;
}

template <class Vector>
EDGELLM_INLINE void store(float* to, const Vector& vector) {
  std::memcpy(to, &vector, sizeof(Vector));
}

// Whole numbers below 2^22: the sum's last place is worth one, so adding rounds to nearest even.
template <class Vector>
EDGELLM_INLINE Vector rounded(const Vector& v) {
  return (v + 12582912.0f) - 12582912.0f;
}

// A value that is no number comes out as high.
template <class Vector>
EDGELLM_INLINE Vector clamped(const Vector& v, float low, float high) {
  Vector lows = Vector{} + low, highs = Vector{} + high;
  Vector below = v < highs ? v : highs;
  return below > lows ? below : lows;
}

template <class Vector>
EDGELLM_INLINE Vector inverse_or_zero(const Vector& v) {
  Vector zero{};
  return v == zero ? zero : 1.0f / v;
}

struct WholeNumbers {
  float low, high;
  template <class Vector>
  EDGELLM_INLINE Vector nearest(const Vector& v) const {
    return rounded(clamped(v, low, high));
  }
};

struct Iq4Levels {
  template <class Vector>
  EDGELLM_INLINE Vector nearest(const Vector& v) const {
    Vector level = Vector{} + float(kIq4Levels[0]);
#pragma GCC unroll 15
    for (int i = 1; i < 16; ++i) {
      Vector step = Vector{} + float(kIq4Levels[i] - kIq4Levels[i - 1]), zero{};
      level += v > 0.5f * float(kIq4Levels[i] + kIq4Levels[i - 1]) ? step : zero;
    }
    return level;
  }
};

template <class Vector, class Levels>
EDGELLM_INLINE void fit_scales(const float* values, const float* weights, int n_values, const Levels& levels,
                               const float* scales, int n_candidates, ScaleFit& fit) {
  constexpr int kWidth = sizeof(Vector) / sizeof(float);
  for (int c = 0; c < n_candidates; c += kWidth) {
    Vector scale = load<Vector>(scales + c), inverse = inverse_or_zero(scale);
    Vector error{}, slope{}, curvature{};
    for (int i = 0; i < n_values; ++i) {
      Vector code = levels.nearest(values[i] * inverse);
      Vector rest = values[i] - scale * code;
      Vector weighted_code = weights[i] * code;
      error += weights[i] * rest * rest;
      slope += weighted_code * rest;
      curvature += weighted_code * code;
    }
    Vector change = slope * inverse_or_zero(curvature);
    store(fit.error + c, error);
    store(fit.refit_scale + c, scale + change);
    store(fit.refit_error + c, error - change * slope);
    store(fit.slope + c, slope);
    store(fit.curvature + c, curvature);
  }
}

// Rest r = x + m - s q. Its weighted square after the scale changes by a and the minimum by b is
// error + 2 b R - 2 a T + b^2 W + a^2 Q - 2 a b S with R = sum w r, T = sum w r q, S = sum w q, Q = sum w
// q^2.
template <class Vector>
EDGELLM_INLINE void fit_scales_and_mins(const float* values, const float* weights, int n_values, float high,
                                        const float* scales, const float* mins, int n_candidates,
                                        ScaleMinFit& fit) {
  constexpr int kWidth = sizeof(Vector) / sizeof(float);
  float all_weights = 0;
  for (int i = 0; i < n_values; ++i) all_weights += weights[i];
  for (int c = 0; c < n_candidates; c += kWidth) {
    Vector scale = load<Vector>(scales + c), min = load<Vector>(mins + c), inverse = inverse_or_zero(scale);
    Vector error{}, rests{}, slope{}, codes{}, curvature{}, zero{};
    for (int i = 0; i < n_values; ++i) {
      Vector raised = values[i] + min;
      Vector code = rounded(clamped(raised * inverse, 0.0f, high));
      Vector rest = raised - scale * code;
      Vector weighted_code = weights[i] * code, weighted_rest = weights[i] * rest;
      rests += weighted_rest;
      error += weighted_rest * rest;
      slope += weighted_rest * code;
      codes += weighted_code;
      curvature += weighted_code * code;
    }
    Vector determinant = curvature * all_weights - codes * codes;
    // With all codes equal there is nothing to learn about the scale.
    Vector usable = determinant > 1e-6f * curvature * all_weights ? determinant : zero;
    Vector scale_change = (all_weights * slope - codes * rests) * inverse_or_zero(usable);
    Vector inverse_weights = inverse_or_zero(Vector{} + all_weights);
    Vector min_change = (scale_change * codes - rests) * inverse_weights;
    Vector bound_change = (slope - min * codes) * inverse_or_zero(curvature);
    scale_change = min + min_change < zero ? bound_change : scale_change;
    min_change = min + min_change < zero ? -min : min_change;
    store(fit.error + c, error);
    store(fit.refit_scale + c, scale + scale_change);
    store(fit.refit_min + c, min + min_change);
    Vector refit_error = error + min_change * (2.0f * rests + min_change * all_weights) +
                         scale_change * (scale_change * curvature - 2.0f * slope - 2.0f * min_change * codes);
    store(fit.refit_error + c, refit_error > zero ? refit_error : zero);
    store(fit.curvature + c, curvature);
    store(fit.codes + c, codes);
    store(fit.rests + c, rests);
    store(fit.slope + c, slope);
  }
}

#define EDGELLM_GRID_FIT(set, Vector, attribute)                                                            \
  attribute void scales_##set(const float* values, const float* weights, int n_values, float low,           \
                              float high, const float* scales, int n_candidates, ScaleFit& fit) {           \
    fit_scales<Vector>(values, weights, n_values, WholeNumbers{low, high}, scales, n_candidates, fit);      \
  }                                                                                                         \
  attribute void iq4_scales_##set(const float* values, const float* weights, int n_values,                  \
                                  const float* scales, int n_candidates, ScaleFit& fit) {                   \
    fit_scales<Vector>(values, weights, n_values, Iq4Levels{}, scales, n_candidates, fit);                  \
  }                                                                                                         \
  attribute void scales_and_mins_##set(const float* values, const float* weights, int n_values, float high, \
                                       const float* scales, const float* mins, int n_candidates,            \
                                       ScaleMinFit& fit) {                                                  \
    fit_scales_and_mins<Vector>(values, weights, n_values, high, scales, mins, n_candidates, fit);          \
  }                                                                                                         \
  constexpr GridFit kGridFit_##set = {#set, scales_##set, iq4_scales_##set, scales_and_mins_##set};

EDGELLM_GRID_FIT(generic, Float4, )
#if defined(__x86_64__)
EDGELLM_GRID_FIT(avx2, Float8, __attribute__((target("avx2"))))
EDGELLM_GRID_FIT(avx512, Float16, __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw"))))
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
