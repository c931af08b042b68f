// Generation from the codebook types: one to three tokens against rows of blocks as they lie in the file, two
// blocks of a row at a time. Entries are looked up 64 at once, an entry to a byte, and their values then come
// out by shifts alone: byte i of a vector belongs to group i of eight values. The activations are laid out in
// that order once, in scratch.
#include "core/blocks/iq1.h"
#include "core/blocks/iq2.h"
#include "core/blocks/iq3.h"
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx512/codebook_tables.h"
#include "runtime/kernels/avx512/products.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

// The activations of two blocks of a row, 64 groups of eight; 0 where there is but one.
//
// Where 32 values share a scale: codes[k] has value k of every group, and so a 32-bit word, over all of k,
// the 32 values of a scale. Where 16 do: word 4 * q + i of codes[4 * h + k] has values k and 4 + k of the two
// groups of scale 8 * q + 4 * h + i, and so the 16 values over k.
struct alignas(64) TurnedActivations {
  int8_t codes[8][64];
  int32_t start[2][16];  // of the sums over each half of codes: the weights have an offset added
  float scales[16];      // of the words
};

inline size_t pairs_of(size_t n_columns) {
  return (n_columns / 256 + 1) / 2;
}

// Place 16 * k + i in the result is byte place(k, i) of the source.
template <class Place>
constexpr Bytes64 places_of(Place place) {
  Bytes64 places = {};
  for (int k = 0; k < 4; ++k)
    for (int i = 0; i < 16; ++i) places.v[16 * k + i] = uint8_t(place(k, i));
  return places;
}
constexpr Bytes64 kFirstValues = places_of([](int k, int i) { return 8 * i + k; });
constexpr Bytes64 kLastValues = places_of([](int k, int i) { return 8 * i + 4 + k; });
constexpr Bytes64 kValuesOfPairs =
    places_of([](int k, int i) { return 8 * (i / 4 * 2 + i % 2) + 4 * (i / 2 % 2) + k; });

// Lane k of the vector to place `at` of codes[k].
inline void store_lanes(__m512i lanes, int8_t (*codes)[64], size_t at) {
  auto to = [&](int k) { return reinterpret_cast<__m128i*>(codes[k] + at); };
  _mm_storeu_si128(to(0), _mm512_castsi512_si128(lanes));
  _mm_storeu_si128(to(1), _mm512_extracti32x4_epi32(lanes, 1));
  _mm_storeu_si128(to(2), _mm512_extracti32x4_epi32(lanes, 2));
  _mm_storeu_si128(to(3), _mm512_extracti32x4_epi32(lanes, 3));
}

// codes: of both blocks.
template <class Format>
inline void turn(const int8_t codes[512], float first_scale, float second_scale, TurnedActivations& to) {
  for (size_t q = 0; q < 4; ++q) {
    __m512i first = load(codes + 128 * q), second = load(codes + 128 * q + 64);
    if constexpr (Format::n_values_of_scale == 16) {
      store_lanes(_mm512_permutexvar_epi8(load(kValuesOfPairs), first), to.codes, 16 * q);
      store_lanes(_mm512_permutexvar_epi8(load(kValuesOfPairs), second), to.codes + 4, 16 * q);
    } else {
      store_lanes(_mm512_permutex2var_epi8(first, load(kFirstValues), second), to.codes, 16 * q);
      store_lanes(_mm512_permutex2var_epi8(first, load(kLastValues), second), to.codes + 4, 16 * q);
    }
  }
  for (size_t half = 0; half < 2; ++half) {
    __m512i sums = _mm512_setzero_si512();
    for (size_t k = 0; k < 4; ++k)
      sums = dot4(sums, _mm512_set1_epi8(Format::offset), load(to.codes[4 * half + k]));
    _mm512_store_si512(to.start[half], _mm512_sub_epi32(_mm512_setzero_si512(), sums));
  }
  _mm512_store_ps(to.scales,
                  _mm512_mask_mov_ps(_mm512_set1_ps(first_scale), 0xff00, _mm512_set1_ps(second_scale)));
}

// Two blocks of weights in the order of the activations; scales[1] only where 16 values share one.
struct Weights {
  __m512i codes[8];
  __m512 scales[2];
};

// The blocks' scales, each in eight words.
inline __m512 scales_of_pair(uint16_t first, uint16_t second) {
  const __m512i places = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  __m128 both = _mm_cvtph_ps(_mm_cvtsi32_si128(int(first | uint32_t(second) << 16)));
  return _mm512_permutexvar_ps(places, _mm512_castps128_ps512(both));
}

// scale * unit * (2 * s + 1)
inline __m512 odd_scales(__m512i s, __m512 scale, float unit) {
  return _mm512_mul_ps(_mm512_fmadd_ps(_mm512_cvtepi32_ps(s), _mm512_set1_ps(2 * unit), _mm512_set1_ps(unit)),
                       scale);
}

inline __m512i both_blocks(const void* first, const void* second) {
  return load_halves_of(first, second);
}
// 16 bytes of each block.
inline __m256i both_quarters(const void* first, const void* second) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(load_quarter(first)), load_quarter(second), 1);
}
// Eight bytes of each block: lane q has four of them in each of its words.
inline __m512i both_eighths(const void* first, const void* second) {
  const __m512i places = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  __m128i bytes = _mm_set_epi64x(int64_t(eight_bytes_at(second)), int64_t(eight_bytes_at(first)));
  return _mm512_permutexvar_epi32(places, _mm512_castsi128_si512(bytes));
}

// Every second byte of both blocks' 64, from byte `first` on.
inline __m512i alternate_bytes(const void* a, const void* b, int first) {
  alignas(64) static constexpr Bytes64 kEven = places_of([](int k, int i) { return 32 * k + 2 * i; });
  return _mm512_permutex2var_epi8(load(a), _mm512_add_epi8(load(kEven), _mm512_set1_epi8(char(first))),
                                  load(b));
}

// Signs and entries' halves where 16 values share a scale: a 32-bit word for two groups.
inline Entries by_pairs(const Entries& entries) {
  return {_mm512_unpacklo_epi16(entries.low, entries.high), _mm512_unpackhi_epi16(entries.low, entries.high)};
}
// Bit k of a half of signs is that of value k.
inline Entries halves_of_signs(__m512i signs) {
  return {signs, _mm512_srli_epi16(signs, 4)};
}

// Four values each of 64 entries' halves, whose signs are in the low bits of `signs`.
inline void signed_values(__m512i half, __m512i signs, __m512i values, __m512i* codes) {
  const __m512i three = _mm512_set1_epi8(3);
  codes[0] = select(three, half, _mm512_slli_epi16(signs, 2));
  codes[1] = select(three, _mm512_srli_epi16(half, 2), _mm512_slli_epi16(signs, 1));
  codes[2] = select(three, _mm512_srli_epi16(half, 4), signs);
  codes[3] = select(three, _mm512_srli_epi16(half, 6), _mm512_srli_epi16(signs, 1));
  for (int k = 0; k < 4; ++k) codes[k] = _mm512_permutexvar_epi8(codes[k], values);
}
// The same of IQ1; down: in bit 2 whether the group's values are shifted down.
inline void shifted_values(__m512i half, __m512i down, __m512i values, __m512i* codes) {
  const __m512i three = _mm512_set1_epi8(3);
  codes[0] = select(three, half, down);
  codes[1] = select(three, _mm512_srli_epi16(half, 2), down);
  codes[2] = select(three, _mm512_srli_epi16(half, 4), down);
  codes[3] = select(three, _mm512_srli_epi16(half, 6), down);
  for (int k = 0; k < 4; ++k) codes[k] = _mm512_permutexvar_epi8(codes[k], values);
}

constexpr int kIq2Offset = 43, kIq3XxsOffset = 62, kIq3SOffset = 15, kIq1Offset = 9;
constexpr Bytes64 kIq2Values = iq2_values(kIq2Offset), kIq1Values = iq1_values(kIq1Offset);
constexpr Bytes64 kIq3XxsValues = iq3_values(kIq3XxsLevels, kIq3XxsOffset);
constexpr Bytes64 kIq3SValues = iq3_values(kIq3SLevels, kIq3SOffset);

struct IQ2_XXS {
  using Block = BlockIQ2_XXS;
  static constexpr int n_values_of_scale = 32, offset = kIq2Offset;
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);

  void unpack(const Block& a, const Block& b, Weights& to) const {
    __m512i first = load(a.words), second = load(b.words);
    __m512i indices = _mm512_permutex2var_epi32(first, even, second);
    __m512i rest = _mm512_permutex2var_epi32(first, odd, second);
    const __mmask64 masks[] = {eighth_bits(indices)};
    const Entries entries = found(kIq2XxsBytes, indices, masks);
    const Entries signs = halves_of_signs(signs_of_seven_bits(sevens_of(rest)));
    signed_values(entries.low, signs.low, load(kIq2Values), to.codes);
    signed_values(entries.high, signs.high, load(kIq2Values), to.codes + 4);
    to.scales[0] = odd_scales(_mm512_srli_epi32(rest, 28), scales_of_pair(a.scale, b.scale), 0.125f);
  }
};

// Sixteen scales of half a byte each, a block.
inline void scales_of_half_bytes(const uint8_t* a, const uint8_t* b, __m512 scale, Weights& to) {
  const __m512i fifteen = _mm512_set1_epi32(15);
  const __m512i shifts = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 4, 8, 12));
  __m512i packed = _mm512_srlv_epi32(both_eighths(a, b), shifts);
  to.scales[0] = odd_scales(_mm512_and_si512(packed, fifteen), scale, 0.125f);
  to.scales[1] = odd_scales(_mm512_and_si512(_mm512_srli_epi32(packed, 16), fifteen), scale, 0.125f);
}

struct IQ2_XS {
  using Block = BlockIQ2_XS;
  static constexpr int n_values_of_scale = 16, offset = kIq2Offset;

  void unpack(const Block& a, const Block& b, Weights& to) const {
    __m512i low = alternate_bytes(a.codes, b.codes, 0), high = alternate_bytes(a.codes, b.codes, 1);
    const __mmask64 masks[] = {eighth_bits(low), bits_at(high, 0)};
    const Entries entries = by_pairs(found(kIq2XsBytes, low, masks));
    const Entries signs = by_pairs(halves_of_signs(signs_of_seven_bits(_mm512_srli_epi16(high, 1))));
    signed_values(entries.low, signs.low, load(kIq2Values), to.codes);
    signed_values(entries.high, signs.high, load(kIq2Values), to.codes + 4);
    scales_of_half_bytes(a.sub_scales, b.sub_scales, scales_of_pair(a.scale, b.scale), to);
  }
};

constexpr uint64_t kEvenBits = 0x5555555555555555;
// Every second bit of both blocks' 64, from bit `first` on.
inline __mmask64 alternate_bits(uint64_t a, uint64_t b, int first) {
  return _pext_u64(a, kEvenBits << first) | _pext_u64(b, kEvenBits << first) << 32;
}

struct IQ2_S {
  using Block = BlockIQ2_S;
  static constexpr int n_values_of_scale = 16, offset = kIq2Offset;

  void unpack(const Block& a, const Block& b, Weights& to) const {
    __m512i low = both_blocks(a.codes, b.codes);
    const uint64_t high_a = eight_bytes_at(a.high_bits), high_b = eight_bytes_at(b.high_bits);
    const __mmask64 masks[] = {eighth_bits(low), alternate_bits(high_a, high_b, 0),
                               alternate_bits(high_a, high_b, 1)};
    const Entries entries = by_pairs(found(kIq2SBytes, low, masks));
    const Entries signs = by_pairs(halves_of_signs(both_blocks(a.signs, b.signs)));
    signed_values(entries.low, signs.low, load(kIq2Values), to.codes);
    signed_values(entries.high, signs.high, load(kIq2Values), to.codes + 4);
    scales_of_half_bytes(a.sub_scales, b.sub_scales, scales_of_pair(a.scale, b.scale), to);
  }
};

// Four values each of 64 entries of IQ3. The signs of values 0 to 3 are bits 3, 7, 2 and 6.
inline void iq3_values_of(const Entries& entries, __m512i signs, __m512i values, __m512i* codes) {
  const __m512i places = _mm512_set1_epi8(char(0x88));
  __m512i first = and_or(signs, places, entries.low);
  __m512i last = and_or(_mm512_slli_epi16(signs, 1), places, entries.high);
  codes[0] = _mm512_permutexvar_epi8(first, values);
  codes[1] = _mm512_permutexvar_epi8(_mm512_srli_epi16(first, 4), values);
  codes[2] = _mm512_permutexvar_epi8(last, values);
  codes[3] = _mm512_permutexvar_epi8(_mm512_srli_epi16(last, 4), values);
}
// Four signs in the order that this takes.
constexpr uint8_t iq3_signs(uint32_t signs) {
  return uint8_t((signs & 1) << 3 | (signs & 2) << 6 | (signs & 4) | (signs & 8) << 3);
}
// By the low four bits of a place.
constexpr Bytes64 kIq3Signs = [] {
  Bytes64 table = {};
  for (uint32_t i = 0; i < 64; ++i) table.v[i] = iq3_signs(i);
  return table;
}();
// The last four signs by the first seven.
constexpr Bytes128 kLastIq3SignsOfSeven = [] {
  Bytes128 table = {};
  for (uint32_t i = 0; i < 128; ++i) table.v[i] = iq3_signs(uint32_t(kSignsOfSevenBits.v[i] >> 4));
  return table;
}();

struct IQ3_XXS {
  using Block = BlockIQ3_XXS;
  static constexpr int n_values_of_scale = 32, offset = kIq3XxsOffset;

  void unpack(const Block& a, const Block& b, Weights& to) const {
    __m512i rest = both_blocks(a.signs_and_scales, b.signs_and_scales), sevens = sevens_of(rest);
    const __m512i signs[2] = {_mm512_permutexvar_epi8(sevens, load(kIq3Signs)),
                              found<0>(kLastIq3SignsOfSeven.v, sevens, nullptr)};
    for (int half = 0; half < 2; ++half) {
      __m512i indices = alternate_bytes(a.codes, b.codes, half);
      const __mmask64 masks[] = {eighth_bits(indices)};
      iq3_values_of(found(kIq3XxsBytes, indices, masks), signs[half], load(kIq3XxsValues),
                    to.codes + 4 * half);
    }
    to.scales[0] = odd_scales(_mm512_srli_epi32(rest, 28), scales_of_pair(a.scale, b.scale), 0.25f);
  }
};

struct IQ3_S {
  using Block = BlockIQ3_S;
  static constexpr int n_values_of_scale = 32, offset = kIq3SOffset;
  const __m512i places = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  const __m512i shifts = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);

  void unpack(const Block& a, const Block& b, Weights& to) const {
    __m512i signs = both_blocks(a.signs, b.signs);
    const uint64_t high_a = eight_bytes_at(a.high_bits), high_b = eight_bytes_at(b.high_bits);
    for (int half = 0; half < 2; ++half) {
      __m512i low = alternate_bytes(a.codes, b.codes, half);
      const __mmask64 masks[] = {eighth_bits(low), alternate_bits(high_a, high_b, half)};
      __m512i four = half ? _mm512_srli_epi16(signs, 4) : signs;
      iq3_values_of(found(kIq3SBytes, low, masks), _mm512_permutexvar_epi8(four, load(kIq3Signs)),
                    load(kIq3SValues), to.codes + 4 * half);
    }
    uint64_t packed = first_four_bytes(a.sub_scales) | uint64_t(first_four_bytes(b.sub_scales)) << 32;
    __m512i s = _mm512_permutexvar_epi32(places, _mm512_castsi128_si512(_mm_cvtsi64_si128(int64_t(packed))));
    s = _mm512_and_si512(_mm512_srlv_epi32(s, shifts), _mm512_set1_epi32(15));
    to.scales[0] = odd_scales(s, scales_of_pair(a.scale, b.scale), 1.0f);
  }
};

struct IQ1_S {
  using Block = BlockIQ1_S;
  static constexpr int n_values_of_scale = 32, offset = kIq1Offset;

  void unpack(const Block& a, const Block& b, Weights& to) const {
    // A word of 16 bits for each four groups, zero-extended; bits 3 * i to 3 * i + 2 of it are group i's.
    __m512i words = _mm512_cvtepu16_epi32(both_quarters(a.high_bits, b.high_bits));
    __m512i high = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x2926232009060300), words);
    __m512i down = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x2d2d2d2d0d0d0d0d), words);
    __m512i low = both_blocks(a.codes, b.codes);
    const __mmask64 masks[] = {eighth_bits(low), bits_at(high, 0), bits_at(high, 1), bits_at(high, 2)};
    const Entries entries = found(kIq1Bytes, low, masks);
    shifted_values(entries.low, down, load(kIq1Values), to.codes);
    shifted_values(entries.high, down, load(kIq1Values), to.codes + 4);
    __m512i s = _mm512_and_si512(_mm512_srli_epi32(words, 12), _mm512_set1_epi32(7));
    to.scales[0] = odd_scales(s, scales_of_pair(a.scale, b.scale), 0.125f);
  }
};

// The scale of a block of IQ1_M: the top halves of bytes 1, 3, 5 and 7.
inline uint16_t scale_of(const BlockIQ1_M& block) {
  return uint16_t(_pext_u64(eight_bytes_at(block.sub_scales), 0xf000f000f000f000));
}

struct IQ1_M {
  using Block = BlockIQ1_M;
  static constexpr int n_values_of_scale = 16, offset = kIq1Offset;
  const __m512i shifts = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 3, 6, 9));

  void unpack(const Block& a, const Block& b, Weights& to) const {
    // A byte for two groups, spread over two: three bits of index, then the shift.
    __m512i pairs = _mm512_cvtepu8_epi16(both_quarters(a.high_bits, b.high_bits));
    __m512i high = _mm512_or_si512(pairs, _mm512_slli_epi16(pairs, 4));
    __m512i down = _mm512_srli_epi16(high, 1);
    __m512i low = both_blocks(a.codes, b.codes);
    const __mmask64 masks[] = {eighth_bits(low), bits_at(high, 0), bits_at(high, 1), bits_at(high, 2)};
    const Entries entries = by_pairs(found(kIq1Bytes, low, masks));
    const Entries downs = by_pairs({down, down});
    shifted_values(entries.low, downs.low, load(kIq1Values), to.codes);
    shifted_values(entries.high, downs.high, load(kIq1Values), to.codes + 4);
    const __m512 scale = scales_of_pair(scale_of(a), scale_of(b));
    const __m512i seven = _mm512_set1_epi32(7);
    __m512i packed = _mm512_srlv_epi32(both_eighths(a.sub_scales, b.sub_scales), shifts);
    to.scales[0] = odd_scales(_mm512_and_si512(packed, seven), scale, 0.125f);
    to.scales[1] = odd_scales(_mm512_and_si512(_mm512_srli_epi32(packed, 16), seven), scale, 0.125f);
  }
};

template <class Format>
inline __m512 add_pair(__m512 acc, const Weights& weights, const TurnedActivations& x) {
  __m512i dots[2];
  for (size_t half = 0; half < 2; ++half) {
    dots[half] = _mm512_load_si512(x.start[half]);
    for (size_t k = 4 * half; k < 4 * half + 4; ++k)
      dots[half] = dot4(dots[half], weights.codes[k], _mm512_load_si512(x.codes[k]));
  }
  __m512 sum;
  if constexpr (Format::n_values_of_scale == 16) {
    sum = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[0]), weights.scales[0]);
    sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[1]), weights.scales[1], sum);
  } else {
    sum = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(dots[0], dots[1])), weights.scales[0]);
  }
  return _mm512_fmadd_ps(sum, _mm512_load_ps(x.scales), acc);
}

// n_rows <= 4 rows from `row` against all tokens.
template <class Format, size_t n_rows, size_t n_tokens>
inline void multiply_group(const Format& format, const MatrixProduct& p, size_t row) {
  using Block = typename Format::Block;
  const size_t n_blocks = p.n_columns / 256, n_pairs = pairs_of(p.n_columns);
  const Block* blocks = static_cast<const Block*>(p.weights) + row * n_blocks;
  const uint8_t* next = reinterpret_cast<const uint8_t*>(blocks + n_rows * n_blocks) + kPrefetchBytes;
  auto turned = static_cast<const TurnedActivations*>(p.scratch);
  __m512 acc[n_tokens][4];
  for (auto& rows : acc)
    for (__m512& sum : rows) sum = _mm512_setzero_ps();
  for (size_t pair = 0; pair < n_pairs; ++pair) {
    for (size_t r = 0; r < n_rows; ++r) {
      prefetch(next + (n_rows * pair + r) * 2 * sizeof(Block), 2 * sizeof(Block));
      // Of a last block alone the second half meets zeros.
      const Block* block = blocks + r * n_blocks + 2 * pair;
      Weights weights;
      format.unpack(block[0], block[2 * pair + 1 < n_blocks], weights);
      for (size_t t = 0; t < n_tokens; ++t)
        acc[t][r] = add_pair<Format>(acc[t][r], weights, turned[t * n_pairs + pair]);
    }
  }
  for (size_t t = 0; t < n_tokens; ++t)
    _mm_mask_storeu_ps(p.output + t * p.output_stride + row, __mmask8((1u << n_rows) - 1), sums_of(acc[t]));
}

template <class Format, size_t n_tokens>
void multiply_rows(const MatrixProduct& p) {
  const Format format;
  constexpr size_t n_rows = n_tokens == 1 ? 4 : 2;
  size_t row = p.first_row;
  for (; row + n_rows <= p.end_row; row += n_rows) multiply_group<Format, n_rows, n_tokens>(format, p, row);
  for (; row < p.end_row; ++row) multiply_group<Format, 1, n_tokens>(format, p, row);
}

template <class Format>
void multiply(const MatrixProduct& p) {
  const ActivationPlanes planes = activation_planes(ActivationFormat::q8_256, p.n_columns);
  const size_t n_blocks = p.n_columns / 256;
  auto turned = static_cast<TurnedActivations*>(p.scratch);
  for (size_t token = 0; token < p.n_tokens; ++token) {
    const uint8_t* row = static_cast<const uint8_t*>(p.activations) + token * planes.n_bytes;
    auto codes = reinterpret_cast<const int8_t*>(row);
    auto scales = reinterpret_cast<const float*>(row + planes.scales);
    size_t b = 0;
    for (; b + 2 <= n_blocks; b += 2) turn<Format>(codes + 256 * b, scales[b], scales[b + 1], *turned++);
    if (b < n_blocks) {
      alignas(64) int8_t last[512] = {};
      memcpy(last, codes + 256 * b, 256);
      turn<Format>(last, scales[b], 0.0f, *turned++);
    }
  }
  static_assert(kMaxTokensOfCodebookRows == 3);
  if (p.n_tokens == 1) return multiply_rows<Format, 1>(p);
  if (p.n_tokens == 2) return multiply_rows<Format, 2>(p);
  if (p.n_tokens == 3) return multiply_rows<Format, 3>(p);
}

}  // namespace

size_t codebook_scratch_bytes(size_t n_columns) {
  return kMaxTokensOfCodebookRows * pairs_of(n_columns) * sizeof(TurnedActivations);
}

void multiply_codebook_rows(const MatrixProduct& p) {
  switch (p.type) {
    case TensorType::IQ2_XXS:
      return multiply<IQ2_XXS>(p);
    case TensorType::IQ2_XS:
      return multiply<IQ2_XS>(p);
    case TensorType::IQ2_S:
      return multiply<IQ2_S>(p);
    case TensorType::IQ3_XXS:
      return multiply<IQ3_XXS>(p);
    case TensorType::IQ3_S:
      return multiply<IQ3_S>(p);
    case TensorType::IQ1_S:
      return multiply<IQ1_S>(p);
    default:
      return multiply<IQ1_M>(p);
  }
}

}  // namespace edgellm::avx512
