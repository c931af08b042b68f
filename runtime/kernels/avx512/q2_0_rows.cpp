// Generation from Q2_0: one to three tokens against rows of blocks as they lie in the file, four blocks at a
// time, one in each lane. A byte's four codes come out by shifts alone, so byte i of the k-th vector is value
// 4 * i + k; the activations are laid out in that order once, in scratch.
#include "core/blocks/binary.h"
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx512/products.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

// The activations of four blocks. A lane's first two words are sums over its block's first 32 values, its
// last two over the last 32.
struct alignas(64) TurnedActivations {
  uint8_t codes[4][64];
  int32_t start[16];  // of the sums: codes stand for one less
  float scales[16];
};

inline size_t groups_of(size_t n_columns) {
  return (n_columns + 255) / 256;
}

// The activations of n <= 4 blocks from block b; zero for the others.
inline void turn(const uint8_t* activations, const ActivationPlanes& planes, size_t b, size_t n,
                 TurnedActivations& to) {
  // Lane k: every fourth byte from byte k on.
  const __m512i fourths = _mm512_add_epi8(
      _mm512_broadcast_i32x4(_mm_setr_epi32(0x0c080400, 0x1c181410, 0x2c282420, 0x3c383430)),
      _mm512_setr_epi32(0, 0, 0, 0, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x02020202, 0x02020202,
                        0x02020202, 0x02020202, 0x03030303, 0x03030303, 0x03030303, 0x03030303));
  __m512i v[4];
  for (size_t i = 0; i < 4; ++i)
    v[i] =
        i < n ? _mm512_permutexvar_epi8(fourths, load(activations + 64 * (b + i))) : _mm512_setzero_si512();
  // Lane k of vector i to lane i of vector k.
  __m512i low01 = _mm512_shuffle_i32x4(v[0], v[1], 0x44), high01 = _mm512_shuffle_i32x4(v[0], v[1], 0xee);
  __m512i low23 = _mm512_shuffle_i32x4(v[2], v[3], 0x44), high23 = _mm512_shuffle_i32x4(v[2], v[3], 0xee);
  v[0] = _mm512_shuffle_i32x4(low01, low23, 0x88);
  v[1] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
  v[2] = _mm512_shuffle_i32x4(high01, high23, 0x88);
  v[3] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  __m512i sums = _mm512_setzero_si512();
  for (size_t k = 0; k < 4; ++k) {
    sums = dot4(sums, _mm512_set1_epi8(1), v[k]);
    _mm512_store_si512(to.codes[k], v[k]);
  }
  _mm512_store_si512(to.start, _mm512_sub_epi32(_mm512_setzero_si512(), sums));
  const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  __m256 scales = _mm256_maskz_loadu_ps(__mmask8((1u << (2 * n)) - 1), activations + planes.scales + 8 * b);
  _mm512_store_ps(to.scales, _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(scales)));
}

// n <= 4 blocks of a row.
inline __m512 add_blocks(__m512 acc, const BlockQ2_0* blocks, size_t n, const TurnedActivations& a) {
  const __m512i scale_places = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
  const __m512i three = _mm512_set1_epi8(3);
  const __m512i bytes = lanes_of(blocks, 2, n);
  __m512i dots = dot4(_mm512_load_si512(a.start), _mm512_and_si512(bytes, three), load(a.codes[0]));
  dots = dot4(dots, _mm512_and_si512(_mm512_srli_epi16(bytes, 2), three), load(a.codes[1]));
  dots = dot4(dots, _mm512_and_si512(_mm512_srli_epi16(bytes, 4), three), load(a.codes[2]));
  dots = dot4(dots, _mm512_and_si512(_mm512_srli_epi16(bytes, 6), three), load(a.codes[3]));
  __m512 scales = _mm512_permutexvar_ps(scale_places, _mm512_castps256_ps512(first_halves(blocks, n)));
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_mul_ps(scales, _mm512_load_ps(a.scales)), acc);
}

// n_rows <= 4 rows from `row` against every token.
template <size_t n_rows>
inline void multiply_group(const MatrixProduct& p, size_t row) {
  const size_t n_blocks = p.n_columns / BlockQ2_0::n_values;
  const BlockQ2_0* blocks = static_cast<const BlockQ2_0*>(p.weights) + row * n_blocks;
  const uint8_t* next = reinterpret_cast<const uint8_t*>(blocks + 4 * n_blocks) + kPrefetchBytes;
  auto turned = static_cast<const TurnedActivations*>(p.scratch);
  for (size_t token = 0; token < p.n_tokens; ++token) {
    __m512 acc[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    size_t b = 0;
    for (; b + 4 <= n_blocks; b += 4, ++turned) {
      for (size_t r = 0; r < n_rows; ++r) {
        prefetch(next + (4 * b + 4 * r) * sizeof(BlockQ2_0), 4 * sizeof(BlockQ2_0));
        acc[r] = add_blocks(acc[r], blocks + r * n_blocks + b, 4, *turned);
      }
    }
    if (b < n_blocks) {
      for (size_t r = 0; r < n_rows; ++r)
        acc[r] = add_blocks(acc[r], blocks + r * n_blocks + b, n_blocks - b, *turned);
      ++turned;
    }
    float* output = p.output + token * p.output_stride + row;
    _mm_mask_storeu_ps(output, __mmask8((1u << n_rows) - 1), sums_of(acc));
  }
}

}  // namespace

size_t q2_0_scratch_bytes(size_t n_columns) {
  return kMaxTokensOfLegacyRows * groups_of(n_columns) * sizeof(TurnedActivations);
}

void multiply_q2_0_rows(const MatrixProduct& p) {
  const ActivationPlanes planes = activation_planes(ActivationFormat::q8_32, p.n_columns);
  const size_t n_blocks = p.n_columns / BlockQ2_0::n_values;
  auto turned = static_cast<TurnedActivations*>(p.scratch);
  for (size_t token = 0; token < p.n_tokens; ++token)
    for (size_t b = 0; b < n_blocks; b += 4)
      turn(static_cast<const uint8_t*>(p.activations) + token * planes.n_bytes, planes, b,
           n_blocks - b < 4 ? n_blocks - b : 4, *turned++);
  size_t row = p.first_row;
  for (; row + 4 <= p.end_row; row += 4) multiply_group<4>(p, row);
  for (; row < p.end_row; ++row) multiply_group<1>(p, row);
}

}  // namespace edgellm::avx512
