// Generation: one to three tokens against rows of 32-value blocks as they lie in the file, four blocks at a
// time. Codes with an offset are made unsigned, and start from minus the offset times the activations.
#include "core/blocks/iq4.h"
#include "core/blocks/legacy.h"
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx512/products.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

// Four blocks' activations in the order in which a format's codes come out of its bytes.
struct Activations {
  __m512i codes[2];
  __m512i start[2];    // of the accumulators
  __m512 scales[2];    // of each accumulator's lanes
  __m256 scaled_sums;  // (0, sum of block 0, 0, sum of block 1, ...)
};

inline __m512i negated_sums(int offset, __m512i codes) {
  return _mm512_sub_epi32(_mm512_setzero_si512(),
                          dot4(_mm512_setzero_si512(), _mm512_set1_epi8(int8_t(offset)), codes));
}

inline __m512 add_product(__m512 acc, __m512i sums, __m512 scale, __m512 activation_scale) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), _mm512_mul_ps(scale, activation_scale), acc);
}

// Formats with 16 bytes of four-bit codes: a lane a block, low codes then high codes.
struct FourBits {
  const __m512i scale_places = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);

  void prepare(Activations& a, __m512i first, __m512i second, __m128 scales, __m128 scaled_sums,
               int offset) const {
    a.codes[0] = _mm512_shuffle_i32x4(first, second, 0x88);
    a.codes[1] = _mm512_shuffle_i32x4(first, second, 0xdd);
    a.start[0] = _mm512_add_epi32(negated_sums(offset, a.codes[0]), negated_sums(offset, a.codes[1]));
    a.scales[0] = _mm512_permutexvar_ps(_mm512_srli_epi32(scale_places, 1), _mm512_castps128_ps512(scales));
    a.scaled_sums =
        _mm256_castsi256_ps(_mm256_slli_epi64(_mm256_cvtepu32_epi64(_mm_castps_si128(scaled_sums)), 32));
  }
  __m512 add(__m512 acc, __m512i low, __m512i high, __m256 halves, const Activations& a) const {
    __m512i dots = dot4(dot4(a.start[0], low, a.codes[0]), high, a.codes[1]);
    return add_product(acc, dots, _mm512_permutexvar_ps(scale_places, _mm512_castps256_ps512(halves)),
                       a.scales[0]);
  }
  __m512 add_mins(__m512 acc, __m256 halves, const Activations& a) const {
    return _mm512_fmadd_ps(_mm512_zextps256_ps512(halves), _mm512_zextps256_ps512(a.scaled_sums), acc);
  }
};

inline __m512i low_codes(__m512i bytes) {
  return _mm512_and_si512(bytes, _mm512_set1_epi8(15));
}
inline __m512i high_codes(__m512i bytes) {
  return low_codes(_mm512_srli_epi16(bytes, 4));
}

struct Q4_0 : FourBits {
  using Block = BlockQ4_0;
  static constexpr int offset = 8;
  __m512 add_blocks(__m512 acc, const Block* blocks, size_t n, const Activations& a) const {
    __m512i bytes = lanes_of(blocks, 2, n);
    return add(acc, low_codes(bytes), high_codes(bytes), first_halves(blocks, n), a);
  }
};

struct Q4_1 : FourBits {
  using Block = BlockQ4_1;
  static constexpr int offset = 0;
  __m512 add_blocks(__m512 acc, const Block* blocks, size_t n, const Activations& a) const {
    __m512i bytes = lanes_of(blocks, 4, n);
    __m256 halves = first_halves(blocks, n);
    return add_mins(add(acc, low_codes(bytes), high_codes(bytes), halves, a), halves, a);
  }
};

struct IQ4_NL : FourBits {
  using Block = BlockIQ4_NL;
  static constexpr int offset = 128;
  const __m512i levels =
      _mm512_broadcast_i32x4(_mm_xor_si128(load_quarter(kIq4Levels), _mm_set1_epi8(int8_t(-128))));
  __m512 add_blocks(__m512 acc, const Block* blocks, size_t n, const Activations& a) const {
    __m512i bytes = lanes_of(blocks, 2, n);
    return add(acc, _mm512_shuffle_epi8(levels, low_codes(bytes)),
               _mm512_shuffle_epi8(levels, high_codes(bytes)), first_halves(blocks, n), a);
  }
};

// Fifth bits: two bytes a lane for the low codes, two for the high ones, used as masks.
template <class Block>
inline void fifth_bit_masks(const Block* blocks, size_t n, __mmask64& low, __mmask64& high) {
  low = high = 0;
  for (size_t i = 0; i < n; ++i) {
    uint64_t bits = first_four_bytes(blocks[i].high_bits);
    low |= (bits & 0xffff) << (16 * i);
    high |= (bits >> 16) << (16 * i);
  }
}

struct Q5_0 : FourBits {
  using Block = BlockQ5_0;
  static constexpr int offset = 16;
  __m512 add_blocks(__m512 acc, const Block* blocks, size_t n, const Activations& a) const {
    __m512i bytes = lanes_of(blocks, 6, n), low = low_codes(bytes), high = high_codes(bytes);
    __mmask64 low_mask, high_mask;
    fifth_bit_masks(blocks, n, low_mask, high_mask);
    const __m512i sixteen = _mm512_set1_epi8(16);
    return add(acc, _mm512_mask_add_epi8(low, low_mask, low, sixteen),
               _mm512_mask_add_epi8(high, high_mask, high, sixteen), first_halves(blocks, n), a);
  }
};

struct Q5_1 : FourBits {
  using Block = BlockQ5_1;
  static constexpr int offset = 0;
  __m512 add_blocks(__m512 acc, const Block* blocks, size_t n, const Activations& a) const {
    __m512i bytes = lanes_of(blocks, 8, n), low = low_codes(bytes), high = high_codes(bytes);
    __mmask64 low_mask, high_mask;
    fifth_bit_masks(blocks, n, low_mask, high_mask);
    const __m512i sixteen = _mm512_set1_epi8(16);
    __m256 halves = first_halves(blocks, n);
    acc = add(acc, _mm512_mask_add_epi8(low, low_mask, low, sixteen),
              _mm512_mask_add_epi8(high, high_mask, high, sixteen), halves, a);
    return add_mins(acc, halves, a);
  }
};

// Two blocks a vector.
struct Q8_0 {
  using Block = BlockQ8_0;
  static constexpr int offset = 128;
  const __m512i first_places = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2);
  const __m512i second_places = _mm512_setr_epi32(4, 4, 4, 4, 4, 4, 4, 4, 6, 6, 6, 6, 6, 6, 6, 6);

  void prepare(Activations& a, __m512i first, __m512i second, __m128 scales, __m128, int) const {
    a.codes[0] = first;
    a.codes[1] = second;
    for (int i = 0; i < 2; ++i) a.start[i] = negated_sums(offset, a.codes[i]);
    a.scales[0] = _mm512_permutexvar_ps(_mm512_srli_epi32(first_places, 1), _mm512_castps128_ps512(scales));
    a.scales[1] = _mm512_permutexvar_ps(_mm512_srli_epi32(second_places, 1), _mm512_castps128_ps512(scales));
  }
  __m512 add_blocks(__m512 acc, const Block* blocks, size_t n, const Activations& a) const {
    const __m512i top_bit = _mm512_set1_epi8(int8_t(-128));
    __m512 halves = _mm512_castps256_ps512(first_halves(blocks, n));
    __m512i first = n > 1 ? load_halves_of(blocks[0].codes, blocks[1].codes)
                          : _mm512_zextsi256_si512(load_half(blocks[0].codes));
    acc = add_product(acc, dot4(a.start[0], _mm512_xor_si512(first, top_bit), a.codes[0]),
                      _mm512_permutexvar_ps(first_places, halves), a.scales[0]);
    if (n > 2) {
      __m512i second = n > 3 ? load_halves_of(blocks[2].codes, blocks[3].codes)
                             : _mm512_zextsi256_si512(load_half(blocks[2].codes));
      acc = add_product(acc, dot4(a.start[1], _mm512_xor_si512(second, top_bit), a.codes[1]),
                        _mm512_permutexvar_ps(second_places, halves), a.scales[1]);
    }
    return acc;
  }
};

// Activations of n <= 4 blocks from block b; zero for the others.
template <class Format>
inline void load_activations(const Format& format, Activations& a, const uint8_t* activations,
                             const ActivationPlanes& planes, size_t b, size_t n) {
  const __mmask8 blocks = __mmask8((1u << n) - 1);
  const __mmask8 first = n > 1 ? 0xff : 0x0f, second = n > 3 ? 0xff : n > 2 ? 0x0f : 0;
  format.prepare(a, _mm512_maskz_loadu_epi64(first, activations + 32 * b),
                 _mm512_maskz_loadu_epi64(second, activations + 32 * b + 64),
                 _mm_maskz_loadu_ps(blocks, activations + planes.scales + 4 * b),
                 _mm_maskz_loadu_ps(blocks, activations + planes.scaled_sums + 4 * b), Format::offset);
}

// n_rows <= 4 rows from `row` against every token.
template <class Format, size_t n_rows>
inline void multiply_group(const Format& format, const MatrixProduct& p, const ActivationPlanes& planes,
                           size_t row) {
  using Block = typename Format::Block;
  const size_t n_blocks = p.n_columns / 32;
  const Block* blocks = static_cast<const Block*>(p.weights) + row * n_blocks;
  const uint8_t* next = reinterpret_cast<const uint8_t*>(blocks + 4 * n_blocks) + kPrefetchBytes;
  for (size_t token = 0; token < p.n_tokens; ++token) {
    auto activations = static_cast<const uint8_t*>(p.activations) + token * planes.n_bytes;
    __m512 acc[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    size_t b = 0;
    for (; b + 4 <= n_blocks; b += 4) {
      Activations a;
      load_activations(format, a, activations, planes, b, 4);
      for (size_t r = 0; r < n_rows; ++r) {
        const Block* at = blocks + r * n_blocks + b;
        prefetch(next + (4 * b + 4 * r) * sizeof(Block), 4 * sizeof(Block));
        acc[r] = format.add_blocks(acc[r], at, 4, a);
      }
    }
    if (b < n_blocks) {
      Activations a;
      load_activations(format, a, activations, planes, b, n_blocks - b);
      for (size_t r = 0; r < n_rows; ++r)
        acc[r] = format.add_blocks(acc[r], blocks + r * n_blocks + b, n_blocks - b, a);
    }
    float* output = p.output + token * p.output_stride + row;
    _mm_mask_storeu_ps(output, __mmask8((1u << n_rows) - 1), sums_of(acc));
  }
}

template <class Format>
void multiply(const MatrixProduct& p) {
  const Format format;
  const ActivationPlanes planes = activation_planes(ActivationFormat::q8_32, p.n_columns);
  size_t row = p.first_row;
  for (; row + 4 <= p.end_row; row += 4) multiply_group<Format, 4>(format, p, planes, row);
  for (; row < p.end_row; ++row) multiply_group<Format, 1>(format, p, planes, row);
}

}  // namespace

void multiply_legacy_rows(const MatrixProduct& p) {
  switch (p.type) {
    case TensorType::Q4_0:
      return multiply<Q4_0>(p);
    case TensorType::Q4_1:
      return multiply<Q4_1>(p);
    case TensorType::Q5_0:
      return multiply<Q5_0>(p);
    case TensorType::Q5_1:
      return multiply<Q5_1>(p);
    case TensorType::Q8_0:
      return multiply<Q8_0>(p);
    default:
      return multiply<IQ4_NL>(p);
  }
}

}  // namespace edgellm::avx512
