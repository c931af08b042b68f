// The blocks of the codebook types taken apart: where their entries stand in the codebook, and the signs of
// the values. The entries are read one after the other, for which a gather takes half as long again; all else
// is computed for a whole block at once.
#pragma once

#include <array>
#include <cstring>
#include <immintrin.h>

#include "core/blocks/codebook_data.h"
#include "core/blocks/codebooks.h"
#include "core/blocks/iq1.h"
#include "core/blocks/iq2.h"
#include "core/blocks/iq3.h"
#include "runtime/kernels/avx2/block_codes.h"

namespace edgellm::avx2 {
namespace {

// Where kSignsApart, the codebook has magnitudes, and kOffset is what makes values unsigned codes of kBits.
// Codes of IQ1 are 9 more than eight times the value.
template <int BITS, int OFFSET, int SUB_BLOCK, bool SIGNS_APART>
struct CodebookTraits : CodeTraits<BITS, OFFSET, false, SUB_BLOCK> {
  static constexpr bool kFromCodebook = true, kSignsApart = SIGNS_APART;
};
template <>
struct Codes<BlockIQ2_XXS> : CodebookTraits<7, 43, 32, true> {};
template <>
struct Codes<BlockIQ2_XS> : CodebookTraits<7, 43, 16, true> {};
template <>
struct Codes<BlockIQ2_S> : CodebookTraits<7, 43, 16, true> {};
template <>
struct Codes<BlockIQ3_XXS> : CodebookTraits<7, 62, 32, true> {};
template <>
struct Codes<BlockIQ3_S> : CodebookTraits<5, 15, 32, true> {};
template <>
struct Codes<BlockIQ1_S> : CodebookTraits<5, 9, 32, false> {};
template <>
struct Codes<BlockIQ1_M> : CodebookTraits<5, 9, 16, false> {};

inline float scale_of(const BlockIQ2_XXS& block) {
  return 0.125f * float_of(block.scale);
}
inline float scale_of(const BlockIQ2_XS& block) {
  return 0.125f * float_of(block.scale);
}
inline float scale_of(const BlockIQ2_S& block) {
  return 0.125f * float_of(block.scale);
}
inline float scale_of(const BlockIQ3_XXS& block) {
  return 0.25f * float_of(block.scale);
}
inline float scale_of(const BlockIQ1_S& block) {
  return 0.125f * float_of(block.scale);
}
inline uint64_t words_of(const BlockIQ1_M& block) {
  uint64_t words;
  memcpy(&words, block.sub_scales, sizeof(words));
  return words;
}
inline float scale_of(const BlockIQ1_M& block) {
  return 0.125f * float_of(uint16_t(_pext_u64(words_of(block), 0xf000f000f000f000)));
}

// 2 * s + 1.
inline __m128i odd(__m128i bytes) {
  return _mm_sub_epi8(_mm_add_epi8(bytes, bytes), _mm_set1_epi8(-1));
}
// Eight bytes: the lower half of each, then its upper half.
inline __m128i half_bytes(const uint8_t bytes[8]) {
  __m128i pairs = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
  return _mm_and_si128(_mm_unpacklo_epi8(pairs, _mm_srli_epi16(pairs, 4)), _mm_set1_epi8(15));
}
// The tops of eight 32-bit words.
inline __m128i scales_of_tops(__m256i words) {
  __m256i tops = _mm256_srli_epi32(words, 28);
  __m128i eight = _mm_packs_epi32(_mm256_castsi256_si128(tops), _mm256_extracti128_si256(tops, 1));
  return twice_each(odd(_mm_packs_epi16(eight, eight)));
}

// Bytes of seven signs: the eighth is set where an odd number of the others is.
inline __m256i with_parity(__m256i seven) {
  const __m256i parities = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0));
  __m256i low = _mm256_shuffle_epi8(parities, seven);
  __m256i high = _mm256_shuffle_epi8(parities, bits_of(seven, 4, 15));
  return _mm256_or_si256(seven, _mm256_xor_si256(low, high));
}
// Four times seven bits of every 32, each as a byte.
inline __m256i bytes_of_sevens(__m256i words) {
  __m256i pairs =
      _mm256_or_si256(_mm256_and_si256(words, _mm256_set1_epi32(0x3fff)),
                      _mm256_and_si256(_mm256_slli_epi32(words, 2), _mm256_set1_epi32(0x3fff0000)));
  return _mm256_or_si256(_mm256_and_si256(pairs, _mm256_set1_epi32(0x007f007f)),
                         _mm256_and_si256(_mm256_slli_epi32(pairs, 1), _mm256_set1_epi32(0x7f007f00)));
}

inline void store(void* to, __m256i bytes) {
  _mm256_store_si256(static_cast<__m256i*>(to), bytes);
}

inline __m256i four_copies_each(uint64_t eight_bytes) {
  const __m256i order = _mm256_setr_epi32(0x00000000, 0x01010101, 0x02020202, 0x03030303, 0x04040404,
                                          0x05050505, 0x06060606, 0x07070707);
  return _mm256_shuffle_epi8(_mm256_set1_epi64x(int64_t(eight_bytes)), order);
}
inline uint64_t eight_bytes_at(const void* bytes) {
  uint64_t eight;
  memcpy(&eight, bytes, sizeof(eight));
  return eight;
}

// A byte for each of 32 groups of eight values, in the order in which one shuffle spreads them over the
// groups' values: those of the first 16 of every 32 values in the lower lane, of the last 16 in the upper.
struct GroupBytes {
  __m256i lanes;

  GroupBytes() = default;
  explicit GroupBytes(__m256i in_order) {
    const __m256i even_pairs_first =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    lanes = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(in_order, even_pairs_first), 0xd8);
  }
  // To values 32 * k to 32 * k + 31.
  __m256i spread(int k) const {
    const int64_t first = 0x0202020202020202 * k, second = first + 0x0101010101010101;
    return _mm256_shuffle_epi8(lanes, _mm256_setr_epi64x(first, second, first, second));
  }
};

// Bit i of a group's byte: minus for its value i. What comes out has the sign wanted and is not zero, as
// vpsignb takes it: the bit is added to a number that is positive without it.
inline __m256i signs_of(const GroupBytes& bits, int k) {
  const __m256i bit = _mm256_set1_epi64x(int64_t(0x8040201008040201));
  const __m256i rest = _mm256_set1_epi64x(0x01406070787c7e7f);
  return _mm256_add_epi8(_mm256_and_si256(bits.spread(k), bit), rest);
}

// Entries side by side. Each is read into every place and then blended in: a broadcast costs no more than the
// load, and a blend may go where a shuffle may not.
template <class Index, size_t N>
inline __m256i entries_of(const std::array<uint64_t, N>& codebook, const Index* indices) {
  auto entry = [&](size_t i) { return _mm256_set1_epi64x(int64_t(codebook[indices[i]])); };
  __m256i low = _mm256_blend_epi32(entry(0), entry(1), 0x0c);
  __m256i high = _mm256_blend_epi32(entry(2), entry(3), 0xc0);
  return _mm256_blend_epi32(low, high, 0xf0);
}
template <class Index, size_t N>
inline __m256i entries_of(const std::array<uint32_t, N>& codebook, const Index* indices) {
  auto entry = [&](size_t i) { return _mm256_set1_epi32(int32_t(codebook[indices[i]])); };
  __m256i first = _mm256_blend_epi32(entry(0), entry(1), 0x02);
  __m256i second = _mm256_blend_epi32(entry(2), entry(3), 0x08);
  __m256i third = _mm256_blend_epi32(entry(4), entry(5), 0x20);
  __m256i last = _mm256_blend_epi32(entry(6), entry(7), 0x80);
  first = _mm256_blend_epi32(first, second, 0x0c);
  return _mm256_blend_epi32(first, _mm256_blend_epi32(third, last, 0xc0), 0xf0);
}

// A block of Block: sub_scales; codes(k) for IQ1, and magnitudes(k) and signs(k) for the others, of values 32
// * k to 32 * k + 31.
template <class Block>
struct Apart;

struct SignsApart {
  GroupBytes sign_bits;

  __m256i signs(int k) const { return signs_of(sign_bits, k); }
};

template <>
struct Apart<BlockIQ2_XXS> : SignsApart {
  const BlockIQ2_XXS& block;
  SubScales sub_scales;

  explicit Apart(const BlockIQ2_XXS& b) : block(b) {
    __m256 low = _mm256_castsi256_ps(load_32(b.words)), high = _mm256_castsi256_ps(load_32(b.words + 16));
    __m256i second_words = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd));
    second_words = _mm256_permute4x64_epi64(second_words, 0xd8);
    sign_bits = GroupBytes(with_parity(bytes_of_sevens(second_words)));
    sub_scales = {scales_of_tops(second_words), _mm_setzero_si128()};
  }
  __m256i magnitudes(int k) const {
    return entries_of(kIq2XxsCodebook, reinterpret_cast<const uint8_t*>(block.words + 4 * k));
  }
};

template <>
struct Apart<BlockIQ2_XS> : SignsApart {
  alignas(32) uint16_t indices[32];
  SubScales sub_scales;

  explicit Apart(const BlockIQ2_XS& b) {
    const __m256i index = _mm256_set1_epi16(511);
    __m256i low = load_32(b.codes), high = load_32(b.codes + 16);
    store(indices, _mm256_and_si256(low, index));
    store(indices + 16, _mm256_and_si256(high, index));
    __m256i sevens = _mm256_packus_epi16(_mm256_srli_epi16(low, 9), _mm256_srli_epi16(high, 9));
    sign_bits = GroupBytes(with_parity(_mm256_permute4x64_epi64(sevens, 0xd8)));
    sub_scales = {odd(half_bytes(b.sub_scales)), _mm_setzero_si128()};
  }
  __m256i magnitudes(int k) const { return entries_of(kIq2XsCodebook, indices + 4 * k); }
};

// Indices of 32 groups whose low bytes are `low`, stored in the order 0-7, 16-23, 8-15, 24-31.
inline void store_indices(__m256i low, __m256i high, uint16_t* indices) {
  store(indices, _mm256_unpacklo_epi8(low, high));
  store(indices + 16, _mm256_unpackhi_epi8(low, high));
}
inline size_t place_of_index(size_t i) {
  return i / 32 * 32 + i % 16 / 8 * 16 + i % 32 / 16 * 8 + i % 8;
}

template <>
struct Apart<BlockIQ2_S> : SignsApart {
  alignas(32) uint16_t indices[32];
  SubScales sub_scales;

  explicit Apart(const BlockIQ2_S& b) {
    const __m256i pairs =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0));
    __m256i bytes = four_copies_each(eight_bytes_at(b.high_bits));
    __m256i nibbles = _mm256_blend_epi16(bytes, _mm256_srli_epi16(bytes, 4), 0xaa);
    __m256i high = _mm256_shuffle_epi8(pairs, _mm256_and_si256(nibbles, _mm256_set1_epi16(0x0c03)));
    store_indices(load_32(b.codes), high, indices);
    sign_bits = GroupBytes(load_32(b.signs));
    sub_scales = {odd(half_bytes(b.sub_scales)), _mm_setzero_si128()};
  }
  __m256i magnitudes(int k) const {
    return entries_of(kIq2SCodebook, indices + place_of_index(size_t(4 * k)));
  }
};

template <>
struct Apart<BlockIQ3_XXS> : SignsApart {
  const BlockIQ3_XXS& block;
  SubScales sub_scales;

  explicit Apart(const BlockIQ3_XXS& b) : block(b) {
    __m256i words = load_32(b.signs_and_scales);
    sign_bits = GroupBytes(with_parity(bytes_of_sevens(words)));
    sub_scales = {scales_of_tops(words), _mm_setzero_si128()};
  }
  __m256i magnitudes(int k) const { return entries_of(kIq3XxsCodebook, block.codes + 8 * k); }
};

template <>
struct Apart<BlockIQ3_S> : SignsApart {
  alignas(32) uint16_t indices[64];
  SubScales sub_scales;

  explicit Apart(const BlockIQ3_S& b) {
    const __m256i eight_each =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x(int64_t(0x8040201008040201)), one = _mm256_set1_epi8(1);
    for (int half = 0; half < 2; ++half) {
      uint32_t high;
      memcpy(&high, b.high_bits + 4 * half, sizeof(high));
      __m256i bits = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(int32_t(high)), eight_each), bit);
      __m256i ninth = _mm256_and_si256(_mm256_cmpeq_epi8(bits, bit), one);
      store_indices(load_32(b.codes + 32 * half), ninth, indices + 32 * half);
    }
    sign_bits = GroupBytes(load_32(b.signs));
    uint32_t packed;
    memcpy(&packed, b.sub_scales, sizeof(packed));
    __m128i eight = odd(_mm_cvtsi64_si128(int64_t(_pdep_u64(packed, 0x0f0f0f0f0f0f0f0f))));
    sub_scales = {twice_each(eight), _mm_setzero_si128()};
  }
  __m256i magnitudes(int k) const {
    return entries_of(kIq3SCodebook, indices + place_of_index(size_t(8 * k)));
  }
};

// Entries of IQ1's codebook as codes of values that are an eighth less.
constexpr std::array<uint64_t, 2048> kIq1Codes = [] {
  std::array<uint64_t, 2048> codes{};
  for (size_t entry = 0; entry < codes.size(); ++entry)
    for (int i = 0; i < 8; ++i) codes[entry] |= uint64_t(kIq1Packed[entry] >> (2 * i) & 3) << (8 * i + 3);
  return codes;
}();
// What is added to codes of values that are an eighth more.
constexpr char kUp = 2;

template <>
struct Apart<BlockIQ1_S> {
  alignas(32) uint16_t indices[32];
  alignas(16) uint16_t up[8];
  SubScales sub_scales;

  explicit Apart(const BlockIQ1_S& b) {
    __m128i words = load_16(b.high_bits);
    // Their three bits of each of four words: up to bits 9 to 11, then down to 8 to 10.
    const __m256i four_each =
        _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302, 0x0504050405040504, 0x0706070607060706);
    const __m256i upper = _mm256_set1_epi64x(0x0808080808080808);
    const __m256i moved = _mm256_set1_epi64x(0x0001000800400200);
    __m256i both = _mm256_broadcastsi128_si256(words);
    __m128i codes[2] = {load_16(b.codes), load_16(b.codes + 16)};
    for (int half = 0; half < 2; ++half) {
      __m256i each = _mm256_shuffle_epi8(both, half ? _mm256_add_epi8(four_each, upper) : four_each);
      __m256i high = _mm256_srli_epi16(_mm256_mullo_epi16(each, moved), 1);
      high = _mm256_and_si256(high, _mm256_set1_epi16(0x700));
      store(indices + 16 * half, _mm256_or_si256(high, _mm256_cvtepu8_epi16(codes[half])));
    }
    __m128i down = _mm_srai_epi16(words, 15);
    _mm_store_si128(reinterpret_cast<__m128i*>(up), _mm_andnot_si128(down, _mm_set1_epi8(kUp)));
    __m128i s = _mm_and_si128(_mm_srli_epi16(words, 12), _mm_set1_epi16(7));
    sub_scales = {twice_each(odd(_mm_packs_epi16(s, s))), _mm_setzero_si128()};
  }
  __m256i codes(int k) const {
    return _mm256_add_epi8(entries_of(kIq1Codes, indices + 4 * k), _mm256_set1_epi16(int16_t(up[k])));
  }
};

template <>
struct Apart<BlockIQ1_M> {
  alignas(32) uint16_t indices[32];
  GroupBytes up;
  SubScales sub_scales;

  explicit Apart(const BlockIQ1_M& b) {
    __m128i bytes = load_16(b.high_bits), fifteen = _mm_set1_epi8(15);
    __m128i low = _mm_and_si128(bytes, fifteen), high = _mm_and_si128(_mm_srli_epi16(bytes, 4), fifteen);
    __m256i groups = _mm256_set_m128i(_mm_unpackhi_epi8(low, high), _mm_unpacklo_epi8(low, high));
    store_indices(load_32(b.codes), _mm256_and_si256(groups, _mm256_set1_epi8(7)), indices);
    // Bit 3 is set where the shift is down.
    up = GroupBytes(_mm256_andnot_si256(_mm256_srli_epi16(groups, 2), _mm256_set1_epi8(kUp)));
    uint64_t threes = _pext_u64(words_of(b), 0x0fff0fff0fff0fff);
    sub_scales = {odd(_mm_set_epi64x(int64_t(_pdep_u64(threes >> 24, 0x0707070707070707)),
                                     int64_t(_pdep_u64(threes, 0x0707070707070707)))),
                  _mm_setzero_si128()};
  }
  __m256i codes(int k) const {
    return _mm256_add_epi8(entries_of(kIq1Codes, indices + place_of_index(size_t(4 * k))), up.spread(k));
  }
};

template <class Block>
requires Codes<Block>::kFromCodebook inline Apart<Block> apart(const Block& block) {
  return Apart<Block>(block);
}
template <class Block>
inline const SubScales& sub_scales_of(const Apart<Block>& block) {
  return block.sub_scales;
}
template <class Block>
inline __m256i codes_of(const Apart<Block>& block, int k) {
  if constexpr (Codes<Block>::kSignsApart) {
    return _mm256_add_epi8(_mm256_sign_epi8(block.magnitudes(k), block.signs(k)),
                           _mm256_set1_epi8(Codes<Block>::kOffset));
  } else {
    return block.codes(k);
  }
}

}  // namespace
}  // namespace edgellm::avx2
