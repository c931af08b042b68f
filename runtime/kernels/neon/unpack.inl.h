// Codes of the block formats as vectors of int8, for the files of this folder that multiply them. Everything
// is in the anonymous namespace: no other folder may link to code compiled with this one's flags.
#include <arm_neon.h>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/base/float16.h"
#include "core/blocks/iq4.h"
#include "core/blocks/k_quants.h"
#include "core/blocks/legacy.h"

namespace edgellm::neon {
namespace {

// [*value, 0, 0, 0] by a load: in these kernels the load units have time to spare, the vector units have
// none, and a zeroed register costs the latter as much as a dot product.
inline int32x4_t lane_from_memory(const int32_t* value) {
  int32x4_t lanes;
  __asm__ volatile("ldr %s0, %1" : "=w"(lanes) : "m"(*value));  // volatile: one load each, not one and copies
  return lanes;
}
constexpr int32_t kZero = 0;

inline int8x16_t as_signed(uint8x16_t x) {
  return vreinterpretq_s8_u8(x);
}
inline uint8x16_t low_halves(uint8x16_t x) {
  return vandq_u8(x, vdupq_n_u8(15));
}
inline uint8x16_t high_halves(uint8x16_t x) {
  return vshrq_n_u8(x, 4);
}

// Bit i of `bits` (32 of them) as bit 4 of byte i.
inline void spread_fifth_bits(const uint8_t bits[4], uint8x16_t& low, uint8x16_t& high) {
  static const uint8_t kByteOfValue[16] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
  static const uint8_t kBitOfValue[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  uint32_t word;
  memcpy(&word, bits, sizeof(word));
  uint8x16_t all = vreinterpretq_u8_u32(vdupq_n_u32(word));
  uint8x16_t byte_of_value = vld1q_u8(kByteOfValue), bit = vld1q_u8(kBitOfValue), fifth = vdupq_n_u8(16);
  low = vandq_u8(vtstq_u8(vqtbl1q_u8(all, byte_of_value), bit), fifth);
  high = vandq_u8(vtstq_u8(vqtbl1q_u8(all, vaddq_u8(byte_of_value, vdupq_n_u8(2))), bit), fifth);
}

// One block of 32: values 0-15 and 16-31. The formats with a minimum keep their codes unsigned (0 to 31), the
// others have their offset subtracted.
inline int8x16x2_t codes_of(const BlockQ8_0& block) {
  return {vld1q_s8(block.codes), vld1q_s8(block.codes + 16)};
}
inline int8x16x2_t codes_of(const BlockQ4_0& block) {
  uint8x16_t pairs = vld1q_u8(block.codes);
  int8x16_t offset = vdupq_n_s8(8);
  return {vsubq_s8(as_signed(low_halves(pairs)), offset), vsubq_s8(as_signed(high_halves(pairs)), offset)};
}
inline int8x16x2_t codes_of(const BlockQ4_1& block) {
  uint8x16_t pairs = vld1q_u8(block.codes);
  return {as_signed(low_halves(pairs)), as_signed(high_halves(pairs))};
}
inline int8x16x2_t codes_of(const BlockQ5_0& block) {
  uint8x16_t pairs = vld1q_u8(block.codes), low, high;
  spread_fifth_bits(block.high_bits, low, high);
  int8x16_t offset = vdupq_n_s8(16);
  return {vsubq_s8(as_signed(vorrq_u8(low_halves(pairs), low)), offset),
          vsubq_s8(as_signed(vorrq_u8(high_halves(pairs), high)), offset)};
}
inline int8x16x2_t codes_of(const BlockQ5_1& block) {
  uint8x16_t pairs = vld1q_u8(block.codes), low, high;
  spread_fifth_bits(block.high_bits, low, high);
  return {as_signed(vorrq_u8(low_halves(pairs), low)), as_signed(vorrq_u8(high_halves(pairs), high))};
}
inline int8x16x2_t levels_of(uint8x16_t pairs) {
  int8x16_t levels = vld1q_s8(kIq4Levels);
  return {vqtbl1q_s8(levels, low_halves(pairs)), vqtbl1q_s8(levels, high_halves(pairs))};
}
inline int8x16x2_t codes_of(const BlockIQ4_NL& block) {
  return levels_of(vld1q_u8(block.codes));
}

template <typename Block>
constexpr bool kHasMin = false;
template <>
constexpr bool kHasMin<BlockQ4_1> = true;
template <>
constexpr bool kHasMin<BlockQ5_1> = true;

template <typename Block>
inline float min_of(const Block& block) {
  if constexpr (kHasMin<Block>) return float_from_half(block.min);
  return 0.0f;
}

// The codes of a super-block's 32-value group g (0 to 7) as its two halves, unsigned: Q2_K 0 to 3, Q4_K 0 to
// 15, Q5_K 0 to 31, Q6_K 0 to 63, Q3_K 8 times 0 to 7, so that its offset is the 32 of Q6_K; IQ4_XS its
// levels.
template <int g>
inline uint8x16_t two_bits(const uint8_t* codes, int half) {
  uint8x16_t quads = vld1q_u8(codes + 32 * (g / 4) + 16 * half);
  if constexpr (g % 4 == 0) return vandq_u8(quads, vdupq_n_u8(3));
  if constexpr (g % 4 == 3) return vshrq_n_u8(quads, 6);
  if constexpr (g % 4 == 1) return vandq_u8(vshrq_n_u8(quads, 2), vdupq_n_u8(3));
  return vandq_u8(vshrq_n_u8(quads, 4), vdupq_n_u8(3));
}
// Bit g of every byte of `bits`, moved to bit `to`.
template <int g, int to>
inline uint8x16_t moved_bit(uint8x16_t bits) {
  if constexpr (g < to)
    bits = vshlq_n_u8(bits, to - g);
  else if constexpr (g > to)
    bits = vshrq_n_u8(bits, g - to);
  return vandq_u8(bits, vdupq_n_u8(1 << to));
}

template <int g>
inline int8x16x2_t group(const BlockQ2_K& block) {
  return {as_signed(two_bits<g>(block.codes, 0)), as_signed(two_bits<g>(block.codes, 1))};
}
template <int g>
inline uint8x16_t two_bits_times_8(const uint8_t* codes, int half) {
  uint8x16_t quads = vld1q_u8(codes + 32 * (g / 4) + 16 * half);
  if constexpr (g % 4 == 0) quads = vshlq_n_u8(quads, 3);
  if constexpr (g % 4 == 1) quads = vshlq_n_u8(quads, 1);
  if constexpr (g % 4 == 2) quads = vshrq_n_u8(quads, 1);
  if constexpr (g % 4 == 3) quads = vshrq_n_u8(quads, 3);
  return vandq_u8(quads, vdupq_n_u8(24));
}
template <int g>
inline int8x16x2_t group(const BlockQ3_K& block) {
  uint8x16_t high0 = moved_bit<g, 5>(vld1q_u8(block.high_bits));
  uint8x16_t high1 = moved_bit<g, 5>(vld1q_u8(block.high_bits + 16));
  return {as_signed(vorrq_u8(two_bits_times_8<g>(block.codes, 0), high0)),
          as_signed(vorrq_u8(two_bits_times_8<g>(block.codes, 1), high1))};
}
template <int g>
inline uint8x16x2_t four_bits(const uint8_t* codes) {
  uint8x16_t pairs0 = vld1q_u8(codes + 32 * (g / 2)), pairs1 = vld1q_u8(codes + 32 * (g / 2) + 16);
  if constexpr (g % 2 == 0) return {low_halves(pairs0), low_halves(pairs1)};
  return {high_halves(pairs0), high_halves(pairs1)};
}
template <int g>
inline int8x16x2_t group(const BlockQ4_K& block) {
  uint8x16x2_t codes = four_bits<g>(block.codes);
  return {as_signed(codes.val[0]), as_signed(codes.val[1])};
}
template <int g>
inline int8x16x2_t group(const BlockQ5_K& block) {
  uint8x16x2_t codes = four_bits<g>(block.codes);
  return {as_signed(vorrq_u8(codes.val[0], moved_bit<g, 4>(vld1q_u8(block.high_bits)))),
          as_signed(vorrq_u8(codes.val[1], moved_bit<g, 4>(vld1q_u8(block.high_bits + 16))))};
}
// Bits 2 * (g % 4) and the next of every byte, moved to bits 4 and 5.
template <int g>
inline uint8x16_t moved_pair(uint8x16_t bits) {
  if constexpr (g % 4 == 0) bits = vshlq_n_u8(bits, 4);
  if constexpr (g % 4 == 1) bits = vshlq_n_u8(bits, 2);
  if constexpr (g % 4 == 3) bits = vshrq_n_u8(bits, 2);
  return vandq_u8(bits, vdupq_n_u8(48));
}
template <int g>
inline int8x16x2_t group(const BlockQ6_K& block) {
  int8x16x2_t codes;
  for (int half = 0; half < 2; ++half) {
    uint8x16_t pairs = vld1q_u8(block.low_bits + 64 * (g / 4) + 32 * (g % 2) + 16 * half);
    uint8x16_t low = g % 4 < 2 ? low_halves(pairs) : high_halves(pairs);
    uint8x16_t high = moved_pair<g>(vld1q_u8(block.high_bits + 32 * (g / 4) + 16 * half));
    codes.val[half] = as_signed(vorrq_u8(low, high));
  }
  return codes;
}
template <int g>
inline int8x16x2_t group(const BlockIQ4_XS& block) {
  return levels_of(vld1q_u8(block.codes + 16 * g));
}

// Calls f with 0 to 7 as types, so that group<g> gets constants.
template <int g>
struct Group {
  static constexpr int value = g;
};
template <typename F>
inline __attribute__((always_inline)) void for_each_group(F f) {
  f(Group<0>()), f(Group<1>()), f(Group<2>()), f(Group<3>());
  f(Group<4>()), f(Group<5>()), f(Group<6>()), f(Group<7>());
}

// The eight 6-bit scales and mins of Q4_K and Q5_K, as unpack_scales_and_mins of core/blocks, in words.
struct ScalesAndMins {
  uint8x8_t scales, mins;
};
inline ScalesAndMins scales_and_mins(const uint8_t packed[12]) {
  uint32_t words[3];
  memcpy(words, packed, sizeof(words));
  uint64_t scales_high = (words[2] & 0x0f0f0f0fu) | (words[0] >> 2 & 0x30303030u);
  uint64_t mins_high = (words[2] >> 4 & 0x0f0f0f0fu) | (words[1] >> 2 & 0x30303030u);
  return {vcreate_u8((words[0] & 0x3f3f3f3fu) | scales_high << 32),
          vcreate_u8((words[1] & 0x3f3f3f3fu) | mins_high << 32)};
}

// The sixteen scales of Q3_K, -32 to 31.
inline int8x16_t signed_scales(const BlockQ3_K& block) {
  uint32_t words[3];
  memcpy(words, block.sub_scales, sizeof(words));
  uint64_t low = words[0] | uint64_t(words[1]) << 32;
  uint64_t high = words[2], mask = 0x0f0f0f0f0f0f0f0full;
  // Byte i of the last four holds the high pairs of scales i, i + 4, i + 8, i + 12, lowest first.
  uint64_t high_first = (high & 0x03030303u) | (high >> 2 & 0x03030303u) << 32;
  uint64_t high_last = (high >> 4 & 0x03030303u) | (high >> 6 & 0x03030303u) << 32;
  uint8x16_t scales =
      vcombine_u8(vcreate_u8((low & mask) | high_first << 4), vcreate_u8((low >> 4 & mask) | high_last << 4));
  return vsubq_s8(as_signed(scales), vdupq_n_s8(32));
}

// The eight scales of IQ4_XS, -32 to 31.
inline int8x8_t signed_scales(const BlockIQ4_XS& block) {
  uint32_t low;
  memcpy(&low, block.sub_scales_low, sizeof(low));
  uint8x8_t pairs = vreinterpret_u8_u32(vdup_n_u32(low));
  uint8x8_t low_bits = vzip1_u8(vand_u8(pairs, vdup_n_u8(15)), vshr_n_u8(pairs, 4));
  static const int16_t kShifts[8] = {0, -2, -4, -6, -8, -10, -12, -14};
  uint16x8_t high = vshlq_u16(vdupq_n_u16(block.sub_scales_high), vld1q_s16(kShifts));
  uint8x8_t high_bits = vshl_n_u8(vand_u8(vmovn_u16(high), vdup_n_u8(3)), 4);
  return vsub_s8(vreinterpret_s8_u8(vorr_u8(low_bits, high_bits)), vdup_n_s8(32));
}

}  // namespace
}  // namespace edgellm::neon
