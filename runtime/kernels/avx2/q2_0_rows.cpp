// Generation from Q2_0: one to three tokens against rows of blocks as they lie in the file, four blocks at a
// time. A byte's four codes come out by shifts alone, so byte i of the k-th vector is value 4 * i + k; the
// activations are laid out in that order once, in scratch.
#include "core/blocks/binary.h"
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx2/block_codes.h"
#include "runtime/kernels/avx2/products.h"

namespace edgellm::avx2 {
namespace {

// The activations of four blocks: blocks 0 and 2 in the halves of [0][k], blocks 1 and 3 in those of [1][k].
struct alignas(32) TurnedActivations {
  int8_t codes[2][4][32];
  float scales[8], scaled_sums[8];  // of 32 values each
};

inline size_t groups_of(size_t n_columns) {
  return (n_columns + 255) / 256;
}

// Of a block's 64 bytes every fourth, from byte k on, in lane k of four.
inline void turn_block(const uint8_t* codes, __m128i lanes[4]) {
  const __m128i fourths = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m128i v[4];
  for (int i = 0; i < 4; ++i) v[i] = _mm_shuffle_epi8(load_16(codes + 16 * i), fourths);
  __m128i low01 = _mm_unpacklo_epi32(v[0], v[1]), high01 = _mm_unpackhi_epi32(v[0], v[1]);
  __m128i low23 = _mm_unpacklo_epi32(v[2], v[3]), high23 = _mm_unpackhi_epi32(v[2], v[3]);
  lanes[0] = _mm_unpacklo_epi64(low01, low23);
  lanes[1] = _mm_unpackhi_epi64(low01, low23);
  lanes[2] = _mm_unpacklo_epi64(high01, high23);
  lanes[3] = _mm_unpackhi_epi64(high01, high23);
}

// The activations of n <= 4 blocks from block b; zero for the others.
inline void turn(const uint8_t* activations, const ActivationPlanes& planes, size_t b, size_t n,
                 TurnedActivations& to) {
  if (n < 4) memset(&to, 0, sizeof(to));
  for (size_t i = 0; i < n; ++i) {
    __m128i lanes[4];
    turn_block(activations + 64 * (b + i), lanes);
    for (int k = 0; k < 4; ++k)
      _mm_store_si128(reinterpret_cast<__m128i*>(to.codes[i % 2][k] + 16 * (i / 2)), lanes[k]);
  }
  memcpy(to.scales, activations + planes.scales + 8 * b, 8 * n);
  memcpy(to.scaled_sums, activations + planes.scaled_sums + 8 * b, 8 * n);
}

// Sums of neighbouring products, int16, of two blocks' codes; all four of a byte together stay below 4 * 2 *
// 3
// * 127.
inline __m256i multiply_pair(__m256i bytes, const int8_t (*activations)[32]) {
  __m256i sum = _mm256_maddubs_epi16(bits_of(bytes, 0, 3), load_32(activations[0]));
  sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(bits_of(bytes, 2, 3), load_32(activations[1])));
  sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(bits_of(bytes, 4, 3), load_32(activations[2])));
  return _mm256_add_epi16(sum, _mm256_maddubs_epi16(bits_of(bytes, 6, 3), load_32(activations[3])));
}

// The codes and scales of n <= 4 blocks; zero for the others.
struct FourBlocks {
  __m256i bytes[2];  // of blocks 0 and 2, of blocks 1 and 3
  __m256 scales;     // each twice
};

inline FourBlocks load_blocks(const BlockQ2_0* blocks, size_t n) {
  __m128i bytes[4], halves = _mm_cvtsi32_si128(blocks[0].scale);
  for (size_t i = 0; i < 4; ++i) bytes[i] = i < n ? load_16(blocks[i].codes) : _mm_setzero_si128();
  if (n > 1) halves = _mm_insert_epi16(halves, blocks[1].scale, 1);
  if (n > 2) halves = _mm_insert_epi16(halves, blocks[2].scale, 2);
  if (n > 3) halves = _mm_insert_epi16(halves, blocks[3].scale, 3);
  return {{_mm256_set_m128i(bytes[2], bytes[0]), _mm256_set_m128i(bytes[3], bytes[1])},
          _mm256_cvtph_ps(_mm_unpacklo_epi16(halves, halves))};
}

// A lane is 32 values.
struct Totals {
  __m256 products = _mm256_setzero_ps(), shifts = _mm256_setzero_ps();

  void add(const FourBlocks& blocks, const TurnedActivations& x) {
    __m256i sums = _mm256_hadd_epi16(multiply_pair(blocks.bytes[0], x.codes[0]),
                                     multiply_pair(blocks.bytes[1], x.codes[1]));
    __m256 dots = _mm256_cvtepi32_ps(_mm256_madd_epi16(sums, _mm256_set1_epi16(1)));
    __m256 scales = _mm256_mul_ps(blocks.scales, _mm256_load_ps(x.scales));
    products = _mm256_fmadd_ps(dots, scales, products);
    shifts = _mm256_fmadd_ps(blocks.scales, _mm256_load_ps(x.scaled_sums), shifts);
  }
  float sum() const {
    __m256 lanes = _mm256_sub_ps(products, shifts);
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
};

template <size_t TOKENS>
void multiply_rows(const MatrixProduct& p) {
  const size_t n_blocks = p.n_columns / BlockQ2_0::n_values, n_groups = groups_of(p.n_columns);
  auto turned = static_cast<const TurnedActivations*>(p.scratch);
  for (size_t row = p.first_row; row < p.end_row; ++row) {
    const BlockQ2_0* blocks = static_cast<const BlockQ2_0*>(p.weights) + row * n_blocks;
    Totals totals[TOKENS];
    size_t group = 0;
    for (; 4 * group + 4 <= n_blocks; ++group) {
      const FourBlocks four = load_blocks(blocks + 4 * group, 4);
      for (size_t t = 0; t < TOKENS; ++t) totals[t].add(four, turned[t * n_groups + group]);
    }
    if (4 * group < n_blocks) {
      const FourBlocks four = load_blocks(blocks + 4 * group, n_blocks - 4 * group);
      for (size_t t = 0; t < TOKENS; ++t) totals[t].add(four, turned[t * n_groups + group]);
    }
    for (size_t t = 0; t < TOKENS; ++t) p.output[t * p.output_stride + row] = totals[t].sum();
  }
}

}  // namespace

size_t q2_0_scratch_bytes(size_t n_columns) {
  return kFewTokens * groups_of(n_columns) * sizeof(TurnedActivations);
}

void multiply_q2_0_in_place(const MatrixProduct& p) {
  const ActivationPlanes planes = activation_planes(ActivationFormat::q8_32, p.n_columns);
  const size_t n_blocks = p.n_columns / BlockQ2_0::n_values;
  auto turned = static_cast<TurnedActivations*>(p.scratch);
  for (size_t token = 0; token < p.n_tokens; ++token)
    for (size_t b = 0; b < n_blocks; b += 4)
      turn(static_cast<const uint8_t*>(p.activations) + token * planes.n_bytes, planes, b,
           n_blocks - b < 4 ? n_blocks - b : 4, *turned++);
  switch (p.n_tokens) {
    case 1:
      return multiply_rows<1>(p);
    case 2:
      return multiply_rows<2>(p);
    case 3:
      return multiply_rows<3>(p);
    default:
      return;
  }
}

}  // namespace edgellm::avx2
