// The codes of every integer block type as vectors of 32 bytes, and the scales that go with them. Codes stay
// unsigned as they are stored, since vpmaddubsw wants one unsigned factor; what has to be subtracted from
// them (kOffset, or the type's own minimum) is multiplied with the sums of the activations instead. Only the
// types whose values fill a signed byte (kSigned) come signed.
#pragma once

#include <cstring>
#include <immintrin.h>

#include "core/blocks/binary.h"
#include "core/blocks/iq4.h"
#include "core/blocks/k_quants.h"
#include "core/blocks/legacy.h"

namespace edgellm::avx2 {
namespace {

// kBits: of a code; kOffset: subtracted from it; kHasMin: the type stores a minimum of its own; kSubBlock:
// values under one integer scale (types of 256 only).
template <int BITS, int OFFSET, bool HAS_MIN, int SUB_BLOCK>
struct CodeTraits {
  static constexpr int kBits = BITS, kOffset = OFFSET, kSubBlock = SUB_BLOCK;
  static constexpr bool kHasMin = HAS_MIN, kSigned = BITS == 8;
  static constexpr bool kFromCodebook = false, kSignsApart = false;  // see codebook_codes.h
};
template <class Block>
struct Codes;
template <>
struct Codes<BlockQ4_0> : CodeTraits<4, 8, false, 32> {};
template <>
struct Codes<BlockQ4_1> : CodeTraits<4, 0, true, 32> {};
template <>
struct Codes<BlockQ5_0> : CodeTraits<5, 16, false, 32> {};
template <>
struct Codes<BlockQ5_1> : CodeTraits<5, 0, true, 32> {};
template <>
struct Codes<BlockQ8_0> : CodeTraits<8, 0, false, 32> {};
template <>
struct Codes<BlockIQ4_NL> : CodeTraits<8, 0, false, 32> {};
template <>
struct Codes<BlockQ2_0> : CodeTraits<2, 1, false, 32> {};
template <>
struct Codes<BlockQ2_K> : CodeTraits<2, 0, true, 16> {};
template <>
struct Codes<BlockQ3_K> : CodeTraits<3, 4, false, 16> {};
template <>
struct Codes<BlockQ4_K> : CodeTraits<4, 0, true, 32> {};
template <>
struct Codes<BlockQ5_K> : CodeTraits<5, 0, true, 32> {};
template <>
struct Codes<BlockQ6_K> : CodeTraits<6, 32, false, 16> {};
template <>
struct Codes<BlockIQ4_XS> : CodeTraits<8, 0, false, 32> {};

inline __m256i load_32(const void* bytes) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(bytes));
}
inline __m128i load_16(const void* bytes) {
  return _mm_loadu_si128(static_cast<const __m128i*>(bytes));
}
inline float float_of(uint16_t half) {
  return _cvtsh_ss(half);
}

// Of every byte the bits `mask` at bit `from`, moved to bit `to`.
inline __m256i bits_of(__m256i bytes, int from, int mask, int to = 0) {
  if (from > to) bytes = _mm256_srli_epi16(bytes, from - to);
  if (from < to) bytes = _mm256_slli_epi16(bytes, to - from);
  return _mm256_and_si256(bytes, _mm256_set1_epi8(char(mask << to)));
}

// 16 bytes: their low halves, then their high ones.
inline __m256i nibbles(const uint8_t bytes[16]) {
  __m128i both = load_16(bytes);
  return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(both, 4), both), _mm256_set1_epi8(15));
}

// 16 in every byte whose bit is set.
inline __m256i fifth_bits(const uint8_t bits[4]) {
  uint32_t word;
  memcpy(&word, bits, sizeof(word));
  const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(int64_t(0x8040201008040201));
  __m256i bytes = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(int32_t(word)), spread), bit);
  return _mm256_and_si256(_mm256_cmpeq_epi8(bytes, bit), _mm256_set1_epi8(16));
}

inline __m256i iq4_levels(__m256i codes) {
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load_16(kIq4Levels)), codes);
}

// Codes 32 * k .. 32 * k + 31 of a block.
inline __m256i codes_of(const BlockQ4_0& block, int) {
  return nibbles(block.codes);
}
inline __m256i codes_of(const BlockQ4_1& block, int) {
  return nibbles(block.codes);
}
inline __m256i codes_of(const BlockQ5_0& block, int) {
  return _mm256_or_si256(nibbles(block.codes), fifth_bits(block.high_bits));
}
inline __m256i codes_of(const BlockQ5_1& block, int) {
  return _mm256_or_si256(nibbles(block.codes), fifth_bits(block.high_bits));
}
inline __m256i codes_of(const BlockQ8_0& block, int) {
  return load_32(block.codes);
}
inline __m256i codes_of(const BlockIQ4_NL& block, int) {
  return iq4_levels(nibbles(block.codes));
}
// A byte becomes four: its pairs of bits are moved down to bits 0 and 2, and a table takes either to a code.
inline __m256i codes_of(const BlockQ2_0& block, int k) {
  int64_t eight;
  memcpy(&eight, block.codes + 8 * k, sizeof(eight));
  const __m256i each_four_times = _mm256_setr_epi32(0x00000000, 0x01010101, 0x02020202, 0x03030303,
                                                    0x04040404, 0x05050505, 0x06060606, 0x07070707);
  const __m256i codes_of_masked =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0));
  __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi64x(eight), each_four_times);
  __m256i nibbles = _mm256_blend_epi16(bytes, _mm256_srli_epi16(bytes, 4), 0xaa);
  return _mm256_shuffle_epi8(codes_of_masked, _mm256_and_si256(nibbles, _mm256_set1_epi16(0x0c03)));
}
inline __m256i codes_of(const BlockIQ4_XS& block, int k) {
  return iq4_levels(nibbles(block.codes + 16 * k));
}
inline __m256i codes_of(const BlockQ2_K& block, int k) {
  return bits_of(load_32(block.codes + 32 * (k / 4)), 2 * (k % 4), 3);
}
inline __m256i codes_of(const BlockQ3_K& block, int k) {
  __m256i high = bits_of(load_32(block.high_bits), k, 1, 2);
  return _mm256_or_si256(bits_of(load_32(block.codes + 32 * (k / 4)), 2 * (k % 4), 3), high);
}
inline __m256i codes_of(const BlockQ4_K& block, int k) {
  return bits_of(load_32(block.codes + 32 * (k / 2)), 4 * (k % 2), 15);
}
inline __m256i codes_of(const BlockQ5_K& block, int k) {
  __m256i high = bits_of(load_32(block.high_bits), k, 1, 4);
  return _mm256_or_si256(bits_of(load_32(block.codes + 32 * (k / 2)), 4 * (k % 2), 15), high);
}
inline __m256i codes_of(const BlockQ6_K& block, int k) {
  __m256i high = bits_of(load_32(block.high_bits + 32 * (k / 4)), 2 * (k % 4), 3, 4);
  __m256i low = bits_of(load_32(block.low_bits + 64 * (k / 4) + 32 * (k % 2)), 4 * (k / 2 % 2), 15);
  return _mm256_or_si256(low, high);
}

// Sub-block scales and minimums, int8 [16], one for 16 values each.
struct SubScales {
  __m128i scales, mins;
};

// Scale i of eight for sub-blocks 2 * i and 2 * i + 1.
inline __m128i twice_each(__m128i eight) {
  return _mm_unpacklo_epi8(eight, eight);
}

inline SubScales unpack_packed_scales(const uint8_t packed[12]) {
  uint64_t low, both;
  uint32_t high;
  memcpy(&low, packed, sizeof(low));
  memcpy(&high, packed + 8, sizeof(high));
  // The first four of the scales and the mins, then the last four of each from the halves of bytes 8-11.
  both = low & 0x3f3f3f3f3f3f3f3f;
  uint64_t top = low >> 2 & 0x3030303030303030;
  uint64_t last = (high & 0x0f0f0f0f) | uint64_t(high >> 4 & 0x0f0f0f0f) << 32;
  last |= top;
  __m128i first_four = _mm_cvtsi64_si128(int64_t(both)), last_four = _mm_cvtsi64_si128(int64_t(last));
  __m128i eight = _mm_unpacklo_epi32(first_four, last_four);  // scales 0-7, mins 0-7
  return {twice_each(eight), _mm_unpackhi_epi8(eight, eight)};
}

inline SubScales sub_scales_of(const BlockQ4_K& block) {
  return unpack_packed_scales(block.sub_scales);
}
inline SubScales sub_scales_of(const BlockQ5_K& block) {
  return unpack_packed_scales(block.sub_scales);
}
inline SubScales sub_scales_of(const BlockQ2_K& block) {
  __m128i both = load_16(block.sub_scales), mask = _mm_set1_epi8(15);
  return {_mm_and_si128(both, mask), _mm_and_si128(_mm_srli_epi16(both, 4), mask)};
}
inline SubScales sub_scales_of(const BlockQ3_K& block) {
  uint64_t low;
  uint32_t high;
  memcpy(&low, block.sub_scales, sizeof(low));
  memcpy(&high, block.sub_scales + 8, sizeof(high));
  __m128i halves = _mm_set_epi64x(int64_t(low >> 4), int64_t(low));
  __m128i pairs = _mm_set_epi32(int32_t(high >> 2), int32_t(high), int32_t(high << 2), int32_t(high << 4));
  __m128i scales =
      _mm_or_si128(_mm_and_si128(halves, _mm_set1_epi8(15)), _mm_and_si128(pairs, _mm_set1_epi8(48)));
  return {_mm_sub_epi8(scales, _mm_set1_epi8(32)), _mm_setzero_si128()};
}
inline SubScales sub_scales_of(const BlockQ6_K& block) {
  return {load_16(block.sub_scales), _mm_setzero_si128()};
}
inline SubScales sub_scales_of(const BlockIQ4_XS& block) {
  uint32_t low;
  memcpy(&low, block.sub_scales_low, sizeof(low));
  // One byte a scale: the nibbles of `low` and the bit pairs of sub_scales_high, in order.
  uint64_t nibble = _pdep_u64(low, 0x0f0f0f0f0f0f0f0f),
           pair = _pdep_u64(block.sub_scales_high, 0x3030303030303030);
  __m128i eight = _mm_sub_epi8(_mm_cvtsi64_si128(int64_t(nibble | pair)), _mm_set1_epi8(32));
  return {twice_each(eight), _mm_setzero_si128()};
}

// What a block's codes and sub-scales are asked of: itself, but for the codebook types.
template <class Block>
requires(!Codes<Block>::kFromCodebook) inline const Block& apart(const Block& block) {
  return block;
}

template <class Block>
inline float scale_of(const Block& block) {
  return float_of(block.scale);
}

template <class Block>
inline float min_of(const Block& block) {
  if constexpr (Codes<Block>::kHasMin) {
    return float_of(block.min);
  } else {
    return 0.0f;
  }
}

}  // namespace
}  // namespace edgellm::avx2
