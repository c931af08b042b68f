// Generation: one to three tokens against rows of 256-value blocks as they lie in the file. Per block the
// codes are multiplied as bytes, the partial sums narrowed to 16 bits and multiplied by the integer
// sub-scales, so that floats are touched once in 256 values. Codes with an offset start from minus the offset
// times the activations.
#include <cstddef>

#include "core/blocks/iq4.h"
#include "core/blocks/k_quants.h"
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx512/products.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

constexpr __mmask64 kEvenBytes = 0x5555555555555555;

// One block's activations in the order in which a format's codes come out of its bytes.
struct Activations {
  __m512i codes[4];
  __m512i start[4];  // of the accumulators
  __m256i sums;      // int16 of each 16 codes
};

// Values 32 * s + i of the first 128 and of the second together: the order of two-bit codes.
inline void load_by_two_bits(Activations& a, const int8_t* codes) {
  for (int s = 0; s < 4; ++s) a.codes[s] = load_halves_of(codes + 32 * s, codes + 128 + 32 * s);
}

// Sub-blocks (0, 2), (1, 3), (4, 6), (5, 7) of 32: the order of four-bit codes.
inline void load_by_four_bits(Activations& a, const int8_t* codes) {
  for (int s = 0; s < 4; ++s) {
    const int8_t* first = codes + 128 * (s / 2) + 32 * (s % 2);
    a.codes[s] = load_halves_of(first, first + 64);
  }
}

inline void start_from_offset(Activations& a, int offset) {
  for (int s = 0; s < 4; ++s)
    a.start[s] = _mm512_sub_epi32(_mm512_setzero_si512(),
                                  dot4(_mm512_setzero_si512(), _mm512_set1_epi8(int8_t(offset)), a.codes[s]));
}

inline void start_from_zero(Activations& a) {
  for (int s = 0; s < 4; ++s) a.start[s] = _mm512_setzero_si512();
}

// For partial sums of vectors 2 * i and 2 * i + 1 packed to 16 bits: the place of each word's scale, by
// format below. Lane l of the packed vector holds four sums of each, and a lane's sums belong to one
// sub-block.
template <class Place>
inline __m512i word_places(Place place) {
  alignas(64) int16_t words[32];
  for (int lane = 0; lane < 4; ++lane)
    for (int w = 0; w < 8; ++w) words[8 * lane + w] = int16_t(place(lane, w / 4));
  return _mm512_load_si512(words);
}

inline int two_bit_place(int lane, int s) {
  return lane / 2 * 8 + 2 * s + lane % 2;
}

// (partial sums of four vectors, narrowed) * (their scales)
inline __m512i scaled(const __m512i (&dots)[4], __m512i scales01, __m512i scales23) {
  __m512i acc = _mm512_dpwssd_epi32(_mm512_setzero_si512(), _mm512_packs_epi32(dots[0], dots[1]), scales01);
  return _mm512_dpwssd_epi32(acc, _mm512_packs_epi32(dots[2], dots[3]), scales23);
}

inline __m512i word_scales(__m512i places, __m128i unsigned_bytes) {
  return _mm512_maskz_permutexvar_epi8(kEvenBytes, places, _mm512_castsi128_si512(unsigned_bytes));
}

// What a row's blocks add up to; sixteen and eight parts, to be summed at the end.
struct RowSums {
  __m512 dots;
  __m256 mins;
};

// One row's scale and min for a block, times the activations' scale. Read from memory where they are used:
// that broadcasts them for nothing.
struct Scales {
  float scale, min;
};

inline void add_scaled(RowSums& row, __m512i sums, const Scales& scales) {
  row.dots = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(scales.scale), row.dots);
}

inline void add_mins(RowSums& row, __m256i mins, const Activations& a, const Scales& scales) {
  row.mins = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_madd_epi16(mins, a.sums)), _mm256_set1_ps(scales.min),
                             row.mins);
}

// Each format: the four bytes that hold its scale and, where there is one, its min; how it wants its
// activations; and the addition of a block.
struct Q2_K {
  using Block = BlockQ2_K;
  static constexpr size_t halves_at = offsetof(Block, scale);
  static constexpr bool scale_is_second = false;
  const __m512i places01 = word_places([](int lane, int s) { return two_bit_place(lane, s); });
  const __m512i places23 = word_places([](int lane, int s) { return two_bit_place(lane, s + 2); });

  void prepare(Activations& a, const int8_t* codes) const {
    load_by_two_bits(a, codes);
    start_from_zero(a);
  }
  void add(RowSums& row, const Block& block, const Activations& a, const Scales& scales) const {
    const __m512i three = _mm512_set1_epi8(3);
    __m512i bytes = load(block.codes);
    __m512i dots[4] = {dot4(a.start[0], _mm512_and_si512(bytes, three), a.codes[0]),
                       dot4(a.start[1], _mm512_and_si512(_mm512_srli_epi16(bytes, 2), three), a.codes[1]),
                       dot4(a.start[2], _mm512_and_si512(_mm512_srli_epi16(bytes, 4), three), a.codes[2]),
                       dot4(a.start[3], _mm512_and_si512(_mm512_srli_epi16(bytes, 6), three), a.codes[3])};
    __m128i sub = load_quarter(block.sub_scales);
    const __m128i fifteen = _mm_set1_epi8(15);
    __m128i low = _mm_and_si128(sub, fifteen), mins = _mm_and_si128(_mm_srli_epi16(sub, 4), fifteen);
    add_scaled(row, scaled(dots, word_scales(places01, low), word_scales(places23, low)), scales);
    add_mins(row, _mm256_cvtepu8_epi16(mins), a, scales);
  }
};

struct Q3_K {
  using Block = BlockQ3_K;
  static constexpr size_t halves_at = offsetof(Block, scale) - 2;
  static constexpr bool scale_is_second = true;
  const __m512i places01 = word_places([](int lane, int s) { return two_bit_place(lane, s); });
  const __m512i places23 = word_places([](int lane, int s) { return two_bit_place(lane, s + 2); });
  // Third bits of the second 128 values are four bits above those of the first.
  const __m512i high_shifts = _mm512_setr_epi64(0, 0, 0, 0, 4, 4, 4, 4);

  void prepare(Activations& a, const int8_t* codes) const {
    load_by_two_bits(a, codes);
    start_from_offset(a, 4);
  }
  void add(RowSums& row, const Block& block, const Activations& a, const Scales& scales) const {
    const __m512i three = _mm512_set1_epi8(3), four = _mm512_set1_epi8(4);
    __m512i bytes = load(block.codes);
    __m512i high = _mm512_srlv_epi64(both_halves(load_half(block.high_bits)), high_shifts);
    __m512i codes[4] = {
        and_or(_mm512_slli_epi16(high, 2), four, _mm512_and_si512(bytes, three)),
        and_or(_mm512_slli_epi16(high, 1), four, _mm512_and_si512(_mm512_srli_epi16(bytes, 2), three)),
        and_or(high, four, _mm512_and_si512(_mm512_srli_epi16(bytes, 4), three)),
        and_or(_mm512_srli_epi16(high, 1), four, _mm512_and_si512(_mm512_srli_epi16(bytes, 6), three))};
    __m512i dots[4];
    for (int s = 0; s < 4; ++s) dots[s] = dot4(a.start[s], codes[s], a.codes[s]);
    __m128i sub = q3_k_scales(load_quarter(block.codes + 62));
    __m512i words = _mm512_castsi256_si512(_mm256_cvtepi8_epi16(sub));
    __m512i sums =
        scaled(dots, _mm512_permutexvar_epi16(places01, words), _mm512_permutexvar_epi16(places23, words));
    add_scaled(row, sums, scales);
  }
};

struct Q4_K {
  using Block = BlockQ4_K;
  static constexpr size_t halves_at = offsetof(Block, scale);
  static constexpr bool scale_is_second = false;
  const __m512i places01 = word_places([](int lane, int s) { return lane / 2 * 2 + s; });
  const __m512i places23 = word_places([](int lane, int s) { return 4 + lane / 2 * 2 + s; });
  const __m256i min_places = _mm256_setr_epi16(8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15);

  void prepare(Activations& a, const int8_t* codes) const {
    load_by_four_bits(a, codes);
    start_from_zero(a);
  }
  void add_dots(RowSums& row, const __m512i (&dots)[4], const void* block, const Activations& a,
                const Scales& scales) const {
    __m128i sub = scales_and_mins(load_quarter(block));
    add_scaled(row, scaled(dots, word_scales(places01, sub), word_scales(places23, sub)), scales);
    add_mins(row,
             _mm256_maskz_permutexvar_epi8(uint32_t(kEvenBytes), min_places, _mm256_castsi128_si256(sub)), a,
             scales);
  }
  void add(RowSums& row, const Block& block, const Activations& a, const Scales& scales) const {
    const __m512i fifteen = _mm512_set1_epi8(15);
    __m512i first = load(block.codes), second = load(block.codes + 64);
    __m512i dots[4] = {dot4(a.start[0], _mm512_and_si512(first, fifteen), a.codes[0]),
                       dot4(a.start[1], _mm512_and_si512(_mm512_srli_epi16(first, 4), fifteen), a.codes[1]),
                       dot4(a.start[2], _mm512_and_si512(second, fifteen), a.codes[2]),
                       dot4(a.start[3], _mm512_and_si512(_mm512_srli_epi16(second, 4), fifteen), a.codes[3])};
    add_dots(row, dots, &block, a, scales);
  }
};

struct Q5_K : Q4_K {
  using Block = BlockQ5_K;
  const __m512i high_shifts = _mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2);

  void add(RowSums& row, const Block& block, const Activations& a, const Scales& scales) const {
    const __m512i fifteen = _mm512_set1_epi8(15), sixteen = _mm512_set1_epi8(16);
    __m512i first = load(block.codes), second = load(block.codes + 64);
    __m512i high = _mm512_srlv_epi64(both_halves(load_half(block.high_bits)), high_shifts);
    __m512i codes[4] = {
        and_or(_mm512_slli_epi16(high, 4), sixteen, _mm512_and_si512(first, fifteen)),
        and_or(_mm512_slli_epi16(high, 3), sixteen, _mm512_and_si512(_mm512_srli_epi16(first, 4), fifteen)),
        and_or(high, sixteen, _mm512_and_si512(second, fifteen)),
        and_or(_mm512_srli_epi16(high, 1), sixteen, _mm512_and_si512(_mm512_srli_epi16(second, 4), fifteen))};
    __m512i dots[4];
    for (int s = 0; s < 4; ++s) dots[s] = dot4(a.start[s], codes[s], a.codes[s]);
    add_dots(row, dots, &block, a, scales);
  }
};

struct Q6_K {
  using Block = BlockQ6_K;
  static constexpr size_t halves_at = offsetof(Block, scale) - 2;
  static constexpr bool scale_is_second = true;
  const __m512i places01 = word_places([](int lane, int s) { return lane + 4 * s; });
  const __m512i places23 = word_places([](int lane, int s) { return 8 + lane + 4 * s; });
  const __m512i left_shifts = _mm512_setr_epi64(4, 4, 4, 4, 2, 2, 2, 2);
  const __m512i right_shifts = _mm512_setr_epi64(0, 0, 0, 0, 2, 2, 2, 2);

  void prepare(Activations& a, const int8_t* codes) const {
    for (int s = 0; s < 4; ++s) a.codes[s] = load(codes + 64 * s);
    start_from_offset(a, 32);
  }
  void add(RowSums& row, const Block& block, const Activations& a, const Scales& scales) const {
    const __m512i fifteen = _mm512_set1_epi8(15), high_pair = _mm512_set1_epi8(0x30);
    __m512i dots[4];
    for (int h = 0; h < 2; ++h) {
      __m512i low = load(block.low_bits + 64 * h), high = both_halves(load_half(block.high_bits + 32 * h));
      __m512i first = and_or(_mm512_sllv_epi64(high, left_shifts), high_pair, _mm512_and_si512(low, fifteen));
      __m512i second = and_or(_mm512_srlv_epi64(high, right_shifts), high_pair,
                              _mm512_and_si512(_mm512_srli_epi16(low, 4), fifteen));
      dots[2 * h] = dot4(a.start[2 * h], first, a.codes[2 * h]);
      dots[2 * h + 1] = dot4(a.start[2 * h + 1], second, a.codes[2 * h + 1]);
    }
    __m512i words = _mm512_castsi256_si512(_mm256_cvtepi8_epi16(load_quarter(block.sub_scales)));
    __m512i sums =
        scaled(dots, _mm512_permutexvar_epi16(places01, words), _mm512_permutexvar_epi16(places23, words));
    add_scaled(row, sums, scales);
  }
};

struct IQ4_XS {
  using Block = BlockIQ4_XS;
  static constexpr size_t halves_at = offsetof(Block, scale);
  static constexpr bool scale_is_second = false;
  const __m512i places0 = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  const __m512i places1 = _mm512_setr_epi32(4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7);
  // The levels with 128 added.
  const __m512i levels =
      _mm512_broadcast_i32x4(_mm_xor_si128(load_quarter(kIq4Levels), _mm_set1_epi8(int8_t(-128))));

  // The first 16 values of four sub-blocks, then their last 16.
  void prepare(Activations& a, const int8_t* codes) const {
    for (int h = 0; h < 2; ++h) {
      __m512i first = load(codes + 128 * h), second = load(codes + 128 * h + 64);
      a.codes[2 * h] = _mm512_shuffle_i32x4(first, second, 0x88);
      a.codes[2 * h + 1] = _mm512_shuffle_i32x4(first, second, 0xdd);
    }
    start_from_offset(a, 128);
    a.start[0] = _mm512_add_epi32(a.start[0], a.start[1]);
    a.start[2] = _mm512_add_epi32(a.start[2], a.start[3]);
  }
  void add(RowSums& row, const Block& block, const Activations& a, const Scales& scales) const {
    const __m512i fifteen = _mm512_set1_epi8(15);
    __m512i dots[2];
    for (int h = 0; h < 2; ++h) {
      __m512i bytes = load(block.codes + 64 * h);
      __m512i low = _mm512_shuffle_epi8(levels, _mm512_and_si512(bytes, fifteen));
      __m512i high = _mm512_shuffle_epi8(levels, _mm512_and_si512(_mm512_srli_epi16(bytes, 4), fifteen));
      dots[h] = dot4(dot4(a.start[2 * h], low, a.codes[2 * h]), high, a.codes[2 * h + 1]);
    }
    // Too large for 16 bits.
    __m512i words = _mm512_castsi256_si512(iq4_xs_scales(&block));
    __m512i sums = _mm512_add_epi32(_mm512_mullo_epi32(dots[0], _mm512_permutexvar_epi32(places0, words)),
                                    _mm512_mullo_epi32(dots[1], _mm512_permutexvar_epi32(places1, words)));
    add_scaled(row, sums, scales);
  }
};

// The scales of one block of each of n_rows <= 4 rows, n_blocks apart.
template <class Format, size_t n_rows>
inline void load_scales(const typename Format::Block* blocks, size_t n_blocks, float activation_scale,
                        Scales (&scales)[4]) {
  __m128i halves = _mm_setzero_si128();
  for (size_t r = 0; r < n_rows; ++r) {
    int32_t pair;
    memcpy(&pair, reinterpret_cast<const uint8_t*>(blocks + r * n_blocks) + Format::halves_at, sizeof(pair));
    if (r == 0) halves = _mm_cvtsi32_si128(pair);
    if (r == 1) halves = _mm_insert_epi32(halves, pair, 1);
    if (r == 2) halves = _mm_insert_epi32(halves, pair, 2);
    if (r == 3) halves = _mm_insert_epi32(halves, pair, 3);
  }
  __m256 values = _mm256_mul_ps(_mm256_cvtph_ps(halves), _mm256_set1_ps(activation_scale));
  if (Format::scale_is_second) values = _mm256_permute_ps(values, 0xb1);
  memcpy(scales, &values, sizeof(values));
  // Otherwise the compiler takes them out of the register with shuffles.
  asm("" : "+m"(scales));
}

// n_rows <= 4 rows from `row` against every token.
template <class Format, size_t n_rows>
inline void multiply_group(const Format& format, const MatrixProduct& p, const ActivationPlanes& planes,
                           size_t row) {
  using Block = typename Format::Block;
  const size_t n_blocks = p.n_columns / 256;
  const Block* blocks = static_cast<const Block*>(p.weights) + row * n_blocks;
  const uint8_t* next = reinterpret_cast<const uint8_t*>(blocks + 4 * n_blocks) + kPrefetchBytes;
  for (size_t token = 0; token < p.n_tokens; ++token) {
    auto activations = static_cast<const uint8_t*>(p.activations) + token * planes.n_bytes;
    auto codes = reinterpret_cast<const int8_t*>(activations);
    auto scales = reinterpret_cast<const float*>(activations + planes.scales);
    auto sums = reinterpret_cast<const int16_t*>(activations + planes.sums);
    RowSums rows[n_rows];
    for (RowSums& sums_of_row : rows) sums_of_row = {_mm512_setzero_ps(), _mm256_setzero_ps()};
    for (size_t b = 0; b < n_blocks; ++b) {
      Activations a;
      format.prepare(a, codes + 256 * b);
      a.sums = load_half(sums + 16 * b);
      Scales block_scales[4];
      load_scales<Format, n_rows>(blocks + b, n_blocks, scales[b], block_scales);
      for (size_t r = 0; r < n_rows; ++r) {
        const Block& block = blocks[r * n_blocks + b];
        prefetch(next + (4 * b + r) * sizeof(Block), sizeof(Block));
        format.add(rows[r], block, a, block_scales[r]);
      }
    }
    __m512 acc[4] = {};
    for (size_t r = 0; r < n_rows; ++r)
      acc[r] = _mm512_sub_ps(rows[r].dots, _mm512_zextps256_ps512(rows[r].mins));
    float* output = p.output + token * p.output_stride + row;
    _mm_mask_storeu_ps(output, __mmask8((1u << n_rows) - 1), sums_of(acc));
  }
}

template <class Format>
void multiply(const MatrixProduct& p) {
  const Format format;
  const ActivationPlanes planes = activation_planes(ActivationFormat::q8_256, p.n_columns);
  size_t row = p.first_row;
  for (; row + 4 <= p.end_row; row += 4) multiply_group<Format, 4>(format, p, planes, row);
  for (; row < p.end_row; ++row) multiply_group<Format, 1>(format, p, planes, row);
}

}  // namespace

void multiply_k_quant_rows(const MatrixProduct& p) {
  switch (p.type) {
    case TensorType::Q2_K:
      return multiply<Q2_K>(p);
    case TensorType::Q3_K:
      return multiply<Q3_K>(p);
    case TensorType::Q4_K:
      return multiply<Q4_K>(p);
    case TensorType::Q5_K:
      return multiply<Q5_K>(p);
    case TensorType::Q6_K:
      return multiply<Q6_K>(p);
    default:
      return multiply<IQ4_XS>(p);
  }
}

}  // namespace edgellm::avx512
