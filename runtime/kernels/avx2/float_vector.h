// Eight floats: what the sources shared between instruction sets (runtime/kernels/*.inl.h) are written over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <immintrin.h>

namespace edgellm::avx2 {
namespace {

using Vector = __m256;
constexpr size_t kWidth = 8;
constexpr size_t kTileVectors = 2;

inline Vector splat(float x) {
  return _mm256_set1_ps(x);
}
inline Vector load(const float* x) {
  return _mm256_loadu_ps(x);
}
inline void store(Vector x, float* y) {
  _mm256_storeu_ps(y, x);
}
inline Vector multiply_add(Vector a, Vector b, Vector c) {
  return _mm256_fmadd_ps(a, b, c);
}
inline Vector maximum(Vector a, Vector b) {
  return _mm256_max_ps(a, b);
}
inline Vector minimum(Vector a, Vector b) {
  return _mm256_min_ps(a, b);
}
inline Vector opaque(Vector x) {
  __asm__("" : "+x"(x));
  return x;
}

inline float sum(Vector x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

inline float largest(Vector x) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

inline Vector load_halves(const uint16_t* x) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
}

inline void store_halves(Vector x, uint16_t* y) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(y), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

inline Vector load_bytes(const int8_t* x) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(x))));
}

inline void store_sums_of_four(Vector a, Vector b, Vector c, Vector d, float* y) {
  Vector sums = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
  _mm_storeu_ps(y, _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
}

}  // namespace
}  // namespace edgellm::avx2
