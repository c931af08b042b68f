// Vectors of floats whose lanes never meet, for code that is compiled once for every instruction set and
// gives the same bits on each. For .cpp files only.
#pragma once

#include <cstring>

#include "core/blocks/iq4.h"

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wunknown-warning-option"
#endif
// Vectors of the wider sets never leave the file that includes this, so that their calling convention does
// not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

#define EDGELLM_INLINE [[gnu::always_inline]] inline

namespace edgellm {
namespace {

typedef float Float4 __attribute__((vector_size(16)));
typedef float Float8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));

template <class Vector>
inline constexpr int kLanes = int(sizeof(Vector) / sizeof(float));

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

// A value that is no number comes out as high.
template <class Vector>
EDGELLM_INLINE Vector clamped(const Vector& v, float low, float high) {
  Vector lows = Vector{} + low, highs = Vector{} + high;
  Vector below = v < highs ? v : highs;
  return below > lows ? below : lows;
}

// Nearest whole number, ties to even, within [low, high]: in the sum with 1.5 * 2^23 the last place is worth
// one, so adding rounds.
template <class Vector>
EDGELLM_INLINE Vector rounded(const Vector& v, float low, float high) {
  constexpr float kRounder = 12582912.0f;
  return clamped(v + kRounder, kRounder + low, kRounder + high) - kRounder;
}

template <class Vector>
EDGELLM_INLINE Vector inverse_or_zero(const Vector& v) {
  Vector zero{};
  return v == zero ? zero : 1.0f / v;
}

template <class Vector>
EDGELLM_INLINE bool any_nonzero(const Vector& vector) {
  float lanes[kLanes<Vector>];
  store(lanes, vector);
  bool any = false;
  for (float lane : lanes) any |= lane != 0;
  return any;
}

// One value a lane, value i of all lanes at from + i * stride.
template <class Vector>
struct PerLane {
  const float* from;
  int stride;
  EDGELLM_INLINE Vector at(int i) const { return load<Vector>(from + i * stride); }
};

struct WholeNumbers {
  float low, high;
  template <class Vector>
  EDGELLM_INLINE Vector nearest(const Vector& v) const {
    return rounded(v, low, high);
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

}  // namespace
}  // namespace edgellm
