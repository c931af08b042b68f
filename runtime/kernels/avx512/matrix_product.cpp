#include <cstring>

#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx512/avx512.h"
#include "runtime/kernels/avx512/products.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

inline __m512 magnitude(__m512 x) {
  return _mm512_abs_ps(x);
}

inline float inverse_of(float largest) {
  // Below this the inverse would overflow; such values are as good as zero.
  return largest > 1e-30f ? 127.0f / largest : 0.0f;
}

inline __m512i rounded(const float* x, __m512 inverse) {
  return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), inverse));
}

void quantize_by_32(const float* x, size_t n_columns, uint8_t* row) {
  const ActivationPlanes planes = activation_planes(ActivationFormat::q8_32, n_columns);
  auto scales = reinterpret_cast<float*>(row + planes.scales);
  auto scaled_sums = reinterpret_cast<float*>(row + planes.scaled_sums);
  auto biases = reinterpret_cast<int32_t*>(row + planes.biases);
  for (size_t b = 0; b < n_columns / 32; ++b, x += 32) {
    float largest = _mm512_reduce_max_ps(
        _mm512_max_ps(magnitude(_mm512_loadu_ps(x)), magnitude(_mm512_loadu_ps(x + 16))));
    const __m512 inverse = _mm512_set1_ps(inverse_of(largest));
    __m512i low = rounded(x, inverse), high = rounded(x + 16, inverse);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row + 32 * b), _mm512_cvtepi32_epi8(low));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row + 32 * b + 16), _mm512_cvtepi32_epi8(high));
    int32_t sum = _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
    scales[b] = largest / 127.0f;
    scaled_sums[b] = scales[b] * float(sum);
    biases[b] = -128 * sum;
  }
}

// The sums of each 16 of 256 codes.
inline __m512i sums_of_sixteens(const uint8_t* codes) {
  __m512i fours[4];
  for (size_t v = 0; v < 4; ++v)
    fours[v] = dot4(_mm512_setzero_si512(), _mm512_set1_epi8(1), load(codes + 64 * v));
  // Lane l of vector v holds the four parts of sum 4 * v + l.
  __m512i low =
      _mm512_add_epi32(_mm512_unpacklo_epi32(fours[0], fours[1]), _mm512_unpackhi_epi32(fours[0], fours[1]));
  __m512i high =
      _mm512_add_epi32(_mm512_unpacklo_epi32(fours[2], fours[3]), _mm512_unpackhi_epi32(fours[2], fours[3]));
  __m512i sums = _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
  const __m512i places = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(places, sums);
}

void quantize_by_256(const float* x, size_t n_columns, uint8_t* row) {
  const ActivationPlanes planes = activation_planes(ActivationFormat::q8_256, n_columns);
  auto scales = reinterpret_cast<float*>(row + planes.scales);
  auto sums = reinterpret_cast<int16_t*>(row + planes.sums);
  auto sums_of_32 = reinterpret_cast<int16_t*>(row + planes.sums_of_32);
  auto biases = reinterpret_cast<int32_t*>(row + planes.biases);
  auto block_biases = reinterpret_cast<int32_t*>(row + planes.block_biases);
  for (size_t b = 0; b < n_columns / 256; ++b, x += 256) {
    __m512 peaks = _mm512_setzero_ps();
    for (size_t i = 0; i < 256; i += 16) peaks = _mm512_max_ps(peaks, magnitude(_mm512_loadu_ps(x + i)));
    const float largest = _mm512_reduce_max_ps(peaks);
    const __m512 inverse = _mm512_set1_ps(inverse_of(largest));
    scales[b] = largest / 127.0f;
    uint8_t* codes = row + 256 * b;
    for (size_t i = 0; i < 256; i += 16)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + i), _mm512_cvtepi32_epi8(rounded(x + i, inverse)));
    const __m512i sums_of_16 = sums_of_sixteens(codes);
    const __m256i narrow = _mm512_cvtepi32_epi16(sums_of_16);
    const __m256i pairs = _mm256_madd_epi16(narrow, _mm256_set1_epi16(1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 16 * b), narrow);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums_of_32 + 8 * b), _mm256_cvtepi32_epi16(pairs));
    _mm512_storeu_si512(biases + 16 * b, _mm512_mullo_epi32(sums_of_16, _mm512_set1_epi32(-128)));
    const int32_t block_sum = _mm512_reduce_add_epi32(sums_of_16);
    block_biases[b] = -128 * block_sum;
  }
}

bool has_codebook(TensorType type) {
  switch (type) {
    case TensorType::IQ2_XXS:
    case TensorType::IQ2_XS:
    case TensorType::IQ2_S:
    case TensorType::IQ3_XXS:
    case TensorType::IQ3_S:
    case TensorType::IQ1_S:
    case TensorType::IQ1_M:
      return true;
    default:
      return false;
  }
}

}  // namespace

void quantize_activations(ActivationFormat format, const float* x, size_t n_columns, void* row) {
  switch (format) {
    case ActivationFormat::f32:
      memcpy(row, x, n_columns * sizeof(float));
      return;
    case ActivationFormat::q8_32:
      return quantize_by_32(x, n_columns, static_cast<uint8_t*>(row));
    case ActivationFormat::q8_256:
      return quantize_by_256(x, n_columns, static_cast<uint8_t*>(row));
  }
}

void matrix_product(const MatrixProduct& p) {
  switch (activation_format(p.type, p.n_columns)) {
    case ActivationFormat::f32:
      return multiply_floats(p);
    case ActivationFormat::q8_32:
      if (p.n_tokens > kMaxTokensOfLegacyRows) return multiply_panels(p);
      return p.type == TensorType::Q2_0 ? multiply_q2_0_rows(p) : multiply_legacy_rows(p);
    case ActivationFormat::q8_256:
      if (has_codebook(p.type))
        return p.n_tokens <= kMaxTokensOfCodebookRows ? multiply_codebook_rows(p) : multiply_panels(p);
      return p.n_tokens <= kMaxTokensOfKQuantRows ? multiply_k_quant_rows(p) : multiply_panels(p);
  }
}

size_t scratch_bytes(TensorType type, size_t n_columns) {
  if (activation_format(type, n_columns) == ActivationFormat::f32) return float_scratch_bytes(n_columns);
  const size_t panels = panel_scratch_bytes(n_columns);
  const size_t turned = type == TensorType::Q2_0 ? q2_0_scratch_bytes(n_columns)
                        : has_codebook(type)     ? codebook_scratch_bytes(n_columns)
                                                 : 0;
  return turned > panels ? turned : panels;
}

}  // namespace edgellm::avx512
