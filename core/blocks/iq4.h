// Four bits a value through a table of 16 uneven levels, denser near zero. docs/formats.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgellm {

inline constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

// value = scale * level[code]; byte i holds the code of value i low and of value i + 16 high.
struct BlockIQ4_NL {
  static constexpr size_t n_values = 32;
  uint16_t scale;
  uint8_t codes[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

// 8 sub-blocks of 32; value = scale * (s - 32) * level[code], s of 6 bits.
struct BlockIQ4_XS {
  static constexpr size_t n_values = 256;
  uint16_t scale;
  uint16_t sub_scales_high;   // bits 2 * i and 2 * i + 1: the high pair of s[i]
  uint8_t sub_scales_low[4];  // s[2 * i] low, s[2 * i + 1] high
  uint8_t codes[128];         // 16 bytes a sub-block, as in IQ4_NL
};
static_assert(sizeof(BlockIQ4_XS) == 136);

void decode_iq4_nl(const void* blocks, float* values, size_t n_values);
void decode_iq4_xs(const void* blocks, float* values, size_t n_values);

void encode_iq4_nl(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_iq4_xs(const float* values, const float* importance, void* blocks, size_t n_values);

}  // namespace edgellm
