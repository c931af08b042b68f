// Vectors of floats whose every lane is a calculation of its own, for the inner loops of the encoders. Only
// for the files that hold those loops: the vectors of the wider instruction sets must never leave the file
// that uses them, so that their calling convention does not matter.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wunknown-warning-option"
#endif
#pragma GCC diagnostic ignored "-Wpsabi"

#define EDGELLM_INLINE [[gnu::always_inline]] inline

namespace edgellm {

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

template <class Vector>
EDGELLM_INLINE Vector inverse_or_zero(const Vector& v) {
  Vector zero{};
  return v == zero ? zero : 1.0f / v;
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

// One value a lane, value i of all lanes at from + i * stride.
template <class Vector>
struct PerLane {
  const float* from;
  int stride;
  EDGELLM_INLINE Vector at(int i) const { return load<Vector>(from + i * stride); }
};

}  // namespace edgellm
