// The blocks of the codebook types taken apart: entries are read one after the other, signs and scales are
// computed for a whole block at once. Values are signed bytes; those of IQ1 are eight times as large, so that
// the shift by an eighth is a whole number.
#include <arm_neon.h>
#include <cstring>

#include "core/base/float16.h"
#include "core/blocks/codebooks.h"
#include "core/blocks/iq1.h"
#include "core/blocks/iq2.h"
#include "core/blocks/iq3.h"

namespace edgellm::neon {
namespace {

// A byte for each of 32 groups of eight values.
struct GroupBytes {
  uint8x16_t v[2];
};

// Bytes 2 * i and 2 * i + 1, eight times each.
alignas(16) constexpr uint8_t kTwoGroups[8][16] = {
    {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1},
    {2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3},
    {4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5},
    {6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7},
    {8, 8, 8, 8, 8, 8, 8, 8, 9, 9, 9, 9, 9, 9, 9, 9},
    {10, 10, 10, 10, 10, 10, 10, 10, 11, 11, 11, 11, 11, 11, 11, 11},
    {12, 12, 12, 12, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13, 13, 13},
    {14, 14, 14, 14, 14, 14, 14, 14, 15, 15, 15, 15, 15, 15, 15, 15}};
// The bytes of the two groups that half `half` of the values 32 * g to 32 * g + 31 is made of.
template <int g, int half>
inline uint8x16_t bytes_of_groups(const GroupBytes& bytes) {
  return vqtbl1q_u8(bytes.v[g / 4], vld1q_u8(kTwoGroups[2 * (g % 4) + half]));
}

// The magnitudes of values 32 * g to 32 * g + 31 with their signs; bit i of a group's byte is set for minus.
template <int half, int g>
inline int8x16_t signed_half(uint8x16_t magnitudes, const GroupBytes& signs) {
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
  uint8x16_t minus = vtstq_u8(bytes_of_groups<g, half>(signs), bit);
  return vreinterpretq_s8_u8(vsubq_u8(veorq_u8(magnitudes, minus), minus));
}
template <int g>
inline int8x16x2_t with_signs(uint8x16_t first, uint8x16_t last, const GroupBytes& signs) {
  return {signed_half<0, g>(first, signs), signed_half<1, g>(last, signs)};
}

// Bytes of seven signs, whose eighth bit is set to their parity whatever it was.
inline uint8x16_t with_parity(uint8x16_t sevens) {
  return vsliq_n_u8(sevens, vcntq_u8(vandq_u8(sevens, vdupq_n_u8(127))), 7);
}
// Four times seven bits of every word, a byte each.
inline uint8x16_t signs_of_words(uint32x4_t words) {
  uint32x4_t pairs = vbslq_u32(vdupq_n_u32(0x3fff), words, vshlq_n_u32(words, 2));
  uint16x8_t halves = vreinterpretq_u16_u32(pairs);
  uint16x8_t bytes = vbslq_u16(vdupq_n_u16(0x7f), halves, vshlq_n_u16(halves, 1));
  return with_parity(vreinterpretq_u8_u16(bytes));
}

// 2 * s + 1
inline int8x8_t odd(uint8x8_t s) {
  return vreinterpret_s8_u8(vorr_u8(vadd_u8(s, s), vdup_n_u8(1)));
}
inline int8x16_t odd(uint8x16_t s) {
  return vreinterpretq_s8_u8(vorrq_u8(vaddq_u8(s, s), vdupq_n_u8(1)));
}
// Eight bytes: the lower half of each, then its upper half.
inline uint8x16_t half_bytes(uint8x8_t bytes) {
  uint8x8_t low = vand_u8(bytes, vdup_n_u8(15)), high = vshr_n_u8(bytes, 4);
  return vcombine_u8(vzip1_u8(low, high), vzip2_u8(low, high));
}
// The tops of eight words.
inline int8x8_t scales_of_tops(uint32x4_t first, uint32x4_t last) {
  uint16x8_t tops = vcombine_u16(vshrn_n_u32(first, 16), vshrn_n_u32(last, 16));
  return odd(vmovn_u16(vshrq_n_u16(tops, 12)));
}

// 16 values from two entries of eight, or from four of four.
inline uint8x16_t entries(uint64_t first, uint64_t second) {
  return vcombine_u8(vcreate_u8(first), vcreate_u8(second));
}
inline uint8x16_t entries(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return entries(a | uint64_t(b) << 32, c | uint64_t(d) << 32);
}

// Of a block: its scale, the sub-scales (int8 [8] for 32 values each, or [16] for 16), and group<g>(): values
// 32 * g to 32 * g + 31 in the sub-scales' unit.
template <typename Block>
struct Apart;

template <>
struct Apart<BlockIQ2_XXS> {
  const BlockIQ2_XXS& block;
  float scale;
  int8x8_t sub_scales;
  GroupBytes signs;

  explicit Apart(const BlockIQ2_XXS& b) : block(b), scale(0.125f * float_from_half(b.scale)) {
    uint32x4_t rest[2];
    for (int half = 0; half < 2; ++half) {
      uint32x4_t first = vreinterpretq_u32_u16(vld1q_u16(b.words + 16 * half));
      rest[half] = vuzp2q_u32(first, vreinterpretq_u32_u16(vld1q_u16(b.words + 16 * half + 8)));
      signs.v[half] = signs_of_words(rest[half]);
    }
    sub_scales = scales_of_tops(rest[0], rest[1]);
  }
  template <int g>
  int8x16x2_t group() const {
    auto i = reinterpret_cast<const uint8_t*>(block.words + 4 * g);
    return with_signs<g>(entries(kIq2XxsCodebook[i[0]], kIq2XxsCodebook[i[1]]),
                         entries(kIq2XxsCodebook[i[2]], kIq2XxsCodebook[i[3]]), signs);
  }
};

template <>
struct Apart<BlockIQ2_XS> {
  const BlockIQ2_XS& block;
  float scale;
  int8x16_t sub_scales;
  GroupBytes signs;

  explicit Apart(const BlockIQ2_XS& b) : block(b), scale(0.125f * float_from_half(b.scale)) {
    for (int half = 0; half < 2; ++half) {
      uint8x16_t first = vreinterpretq_u8_u16(vld1q_u16(b.codes + 16 * half));
      uint8x16_t high = vuzp2q_u8(first, vreinterpretq_u8_u16(vld1q_u16(b.codes + 16 * half + 8)));
      signs.v[half] = with_parity(vshrq_n_u8(high, 1));
    }
    sub_scales = odd(half_bytes(vld1_u8(b.sub_scales)));
  }
  template <int g>
  int8x16x2_t group() const {
    const uint16_t* i = block.codes + 4 * g;
    return with_signs<g>(entries(kIq2XsCodebook[i[0] & 511], kIq2XsCodebook[i[1] & 511]),
                         entries(kIq2XsCodebook[i[2] & 511], kIq2XsCodebook[i[3] & 511]), signs);
  }
};

template <>
struct Apart<BlockIQ2_S> {
  const BlockIQ2_S& block;
  float scale;
  int8x16_t sub_scales;
  GroupBytes signs;

  explicit Apart(const BlockIQ2_S& b)
      : block(b),
        scale(0.125f * float_from_half(b.scale)),
        sub_scales(odd(half_bytes(vld1_u8(b.sub_scales)))),
        signs{{vld1q_u8(b.signs), vld1q_u8(b.signs + 16)}} {}
  template <int g>
  int8x16x2_t group() const {
    const uint8_t* low = block.codes + 4 * g;
    const uint32_t high = block.high_bits[g];
    auto entry = [&](int i) { return kIq2SCodebook[low[i] | (high << (8 - 2 * i) & 0x300)]; };
    return with_signs<g>(entries(entry(0), entry(1)), entries(entry(2), entry(3)), signs);
  }
};

template <>
struct Apart<BlockIQ3_XXS> {
  const BlockIQ3_XXS& block;
  float scale;
  int8x8_t sub_scales;
  GroupBytes signs;

  explicit Apart(const BlockIQ3_XXS& b) : block(b), scale(0.25f * float_from_half(b.scale)) {
    uint32x4_t words[2];
    for (int half = 0; half < 2; ++half) {
      words[half] = vreinterpretq_u32_u8(vld1q_u8(b.signs_and_scales + 16 * half));
      signs.v[half] = signs_of_words(words[half]);
    }
    sub_scales = scales_of_tops(words[0], words[1]);
  }
  template <int g>
  int8x16x2_t group() const {
    auto four = [&](int i) {
      const uint8_t* c = block.codes + 8 * g + i;
      return entries(kIq3XxsCodebook[c[0]], kIq3XxsCodebook[c[1]], kIq3XxsCodebook[c[2]],
                     kIq3XxsCodebook[c[3]]);
    };
    return with_signs<g>(four(0), four(4), signs);
  }
};

template <>
struct Apart<BlockIQ3_S> {
  const BlockIQ3_S& block;
  float scale;
  int8x8_t sub_scales;
  GroupBytes signs;

  explicit Apart(const BlockIQ3_S& b)
      : block(b), scale(float_from_half(b.scale)), signs{{vld1q_u8(b.signs), vld1q_u8(b.signs + 16)}} {
    uint32_t packed;
    memcpy(&packed, b.sub_scales, sizeof(packed));
    sub_scales = odd(vget_low_u8(half_bytes(vcreate_u8(packed))));
  }
  template <int g>
  int8x16x2_t group() const {
    const uint32_t high = block.high_bits[g];
    auto four = [&](int i) {
      const uint8_t* c = block.codes + 8 * g + i;
      auto entry = [&](int k) { return kIq3SCodebook[c[k] | (high << (8 - i - k) & 0x100)]; };
      return entries(entry(0), entry(1), entry(2), entry(3));
    };
    return with_signs<g>(four(0), four(4), signs);
  }
};

// Eight times an entry of IQ1.
inline int8x16_t iq1_entries(size_t first, size_t second) {
  return vshlq_n_s8(vreinterpretq_s8_u8(entries(kIq1Codebook[first], kIq1Codebook[second])), 3);
}

template <>
struct Apart<BlockIQ1_S> {
  const BlockIQ1_S& block;
  float scale;
  int8x8_t sub_scales;

  explicit Apart(const BlockIQ1_S& b) : block(b), scale(0.125f * float_from_half(b.scale)) {
    uint16x8_t s = vandq_u16(vshrq_n_u16(vld1q_u16(b.high_bits), 12), vdupq_n_u16(7));
    sub_scales = odd(vmovn_u16(s));
  }
  template <int g>
  int8x16x2_t group() const {
    const uint8_t* low = block.codes + 4 * g;
    const uint32_t high = block.high_bits[g];
    auto index = [&](int i) { return low[i] | (high >> (3 * i) & 7) << 8; };
    const int8x16_t shift = vdupq_n_s8(high & 0x8000 ? -1 : 1);
    return {vaddq_s8(iq1_entries(index(0), index(1)), shift),
            vaddq_s8(iq1_entries(index(2), index(3)), shift)};
  }
};

template <>
struct Apart<BlockIQ1_M> {
  const BlockIQ1_M& block;
  float scale;
  int8x16_t sub_scales;
  GroupBytes shifts;  // 1 or -1

  explicit Apart(const BlockIQ1_M& b) : block(b) {
    uint64_t words;
    memcpy(&words, b.sub_scales, sizeof(words));
    const uint64_t tops = words >> 12 & 0x000f000f000f000f;
    scale = 0.125f * float_from_half(uint16_t(tops | tops >> 12 | tops >> 24 | tops >> 36));
    // Each word's four times three bits to a byte each.
    uint64_t pairs = (words & 0x003f003f003f003f) | (words >> 6 & 0x003f003f003f003f) << 8;
    uint8x8_t sixes = vcreate_u8(pairs), low = vand_u8(sixes, vdup_n_u8(7)), high = vshr_n_u8(sixes, 3);
    sub_scales = odd(vcombine_u8(vzip1_u8(low, high), vzip2_u8(low, high)));
    // Bit 3 of a half byte is set for minus.
    uint8x16_t bytes = vld1q_u8(b.high_bits), eight = vdupq_n_u8(8);
    uint8x16_t first = vtstq_u8(bytes, eight), second = vtstq_u8(vshrq_n_u8(bytes, 4), eight);
    uint8x16_t one = vdupq_n_u8(1);
    shifts = {{vorrq_u8(vzip1q_u8(first, second), one), vorrq_u8(vzip2q_u8(first, second), one)}};
  }
  template <int g>
  int8x16x2_t group() const {
    const uint8_t* low = block.codes + 4 * g;
    const uint32_t high = uint32_t(block.high_bits[2 * g] | block.high_bits[2 * g + 1] << 8);
    auto index = [&](int i) { return low[i] | (high >> (4 * i) & 7) << 8; };
    return {vaddq_s8(iq1_entries(index(0), index(1)), vreinterpretq_s8_u8(bytes_of_groups<g, 0>(shifts))),
            vaddq_s8(iq1_entries(index(2), index(3)), vreinterpretq_s8_u8(bytes_of_groups<g, 1>(shifts)))};
  }
};

template <int g, typename Block>
inline int8x16x2_t group(const Apart<Block>& block) {
  return block.template group<g>();
}

}  // namespace
}  // namespace edgellm::neon
