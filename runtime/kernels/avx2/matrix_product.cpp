#include <cstring>
#include <immintrin.h>

#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx2/avx2.h"
#include "runtime/kernels/avx2/products.h"

namespace edgellm::avx2 {
namespace {

inline float largest_of(__m256 x) {
  __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_max_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

inline float largest_magnitude(const float* x, size_t n) {
  __m256 most = _mm256_setzero_ps(), sign = _mm256_set1_ps(-0.0f);
  for (size_t i = 0; i < n; i += 8)
    most = _mm256_max_ps(most, _mm256_andnot_ps(sign, _mm256_loadu_ps(x + i)));
  return largest_of(most);
}

// 32 values times factor, rounded to nearest even.
inline __m256i codes_from(const float* x, __m256 factor) {
  __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), factor));
  __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), factor));
  __m256i c = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 16), factor));
  __m256i d = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 24), factor));
  __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
  return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

// Sums of codes 0-15 and 16-31.
inline void sums_of(__m256i codes, int16_t sums[2]) {
  __m256i fours = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), codes), _mm256_set1_epi16(1));
  __m256i pairs = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4e));
  pairs = _mm256_add_epi32(pairs, _mm256_shuffle_epi32(pairs, 0xb1));
  sums[0] = int16_t(_mm256_extract_epi32(pairs, 0));
  sums[1] = int16_t(_mm256_extract_epi32(pairs, 4));
}

}  // namespace

void quantize_activations(ActivationFormat format, const float* x, size_t n_columns, void* row) {
  if (format == ActivationFormat::f32) {
    memcpy(row, x, n_columns * sizeof(float));
    return;
  }
  const ActivationPlanes planes = activation_planes(format, n_columns);
  const size_t n_in_block = format == ActivationFormat::q8_32 ? 32 : 256;
  uint8_t* bytes = static_cast<uint8_t*>(row);
  float* scales = reinterpret_cast<float*>(bytes + planes.scales);
  float* scaled_sums = reinterpret_cast<float*>(bytes + planes.scaled_sums);
  int16_t* sums = reinterpret_cast<int16_t*>(bytes + planes.sums);
  for (size_t i = 0; i < n_columns; i += n_in_block) {
    const float largest = largest_magnitude(x + i, n_in_block);
    const float scale = largest / 127.0f;
    const __m256 factor = _mm256_set1_ps(largest > 0 ? 127.0f / largest : 0.0f);
    scales[i / n_in_block] = scale;
    for (size_t k = i; k < i + n_in_block; k += 32) {
      const __m256i codes = codes_from(x + k, factor);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(bytes + k), codes);
      int16_t pair[2];
      sums_of(codes, pair);
      if (n_in_block == 32) {
        scaled_sums[k / 32] = scale * float(pair[0] + pair[1]);
      } else {
        memcpy(sums + k / 16, pair, sizeof(pair));
      }
    }
  }
}

size_t scratch_bytes(TensorType type, size_t n_columns) {
  if (activation_format(type, n_columns) == ActivationFormat::f32) return floats_scratch_bytes(n_columns);
  const size_t unpacked = unpacked_scratch_bytes(), turned = q2_0_scratch_bytes(n_columns);
  return type == TensorType::Q2_0 && turned > unpacked ? turned : unpacked;
}

void matrix_product(const MatrixProduct& p) {
  if (activation_format(p.type, p.n_columns) == ActivationFormat::f32) {
    multiply_floats(p);
  } else if (p.n_tokens > kFewTokens) {
    multiply_unpacked(p);
  } else if (p.type == TensorType::Q2_0) {
    multiply_q2_0_in_place(p);
  } else {
    multiply_in_place(p);
  }
}

}  // namespace edgellm::avx2
