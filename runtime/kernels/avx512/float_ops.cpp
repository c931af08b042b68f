#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 warns of its own intrinsics' undefined pass-through operands (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>

#include "runtime/kernels/avx512/avx512.h"

namespace edgellm::avx512 {
namespace {

using Vector = __m512;
constexpr size_t kWidth = 16;
constexpr size_t kTileVectors = 4;

inline Vector splat(float x) {
  return _mm512_set1_ps(x);
}
inline Vector load(const float* x) {
  return _mm512_loadu_ps(x);
}
inline void store(Vector x, float* y) {
  _mm512_storeu_ps(y, x);
}
inline Vector multiply_add(Vector a, Vector b, Vector c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline Vector maximum(Vector a, Vector b) {
  return _mm512_max_ps(a, b);
}
inline Vector minimum(Vector a, Vector b) {
  return _mm512_min_ps(a, b);
}
inline float sum(Vector x) {
  return _mm512_reduce_add_ps(x);
}
inline float largest(Vector x) {
  return _mm512_reduce_max_ps(x);
}
inline Vector opaque(Vector x) {
  __asm__("" : "+v"(x));
  return x;
}

inline Vector load_halves(const uint16_t* x) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
}

inline void store_halves(Vector x, uint16_t* y) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

inline Vector load_bytes(const int8_t* x) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))));
}

inline __m256 halves_sum(Vector x) {
  return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
}

inline void store_sums_of_four(Vector a, Vector b, Vector c, Vector d, float* y) {
  __m256 ab = _mm256_hadd_ps(halves_sum(a), halves_sum(b)), cd = _mm256_hadd_ps(halves_sum(c), halves_sum(d));
  __m256 sums = _mm256_hadd_ps(ab, cd);
  _mm_storeu_ps(y, _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1)));
}

}  // namespace
}  // namespace edgellm::avx512

#define EDGELLM_ISA avx512
#include "runtime/kernels/float_ops.inl.h"
