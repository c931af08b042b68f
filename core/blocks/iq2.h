// About two bits a value: eight values are an entry of a codebook and eight signs. docs/formats.md has the
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgellm {

// 8 groups of 32, two words each: the first has four codebook indices, the second four times seven sign bits
// and the group's scale s on top. value = sign * scale * (s + 1/2) / 4 * codebook value.
struct BlockIQ2_XXS {
  static constexpr size_t n_values = 256;
  uint16_t scale;
  uint16_t words[32];  // pairs make the 32-bit words, low half first
};
static_assert(sizeof(BlockIQ2_XXS) == 66);

// 32 groups of 8: nine bits of codebook index, seven of signs; a 4-bit scale for every 16 values.
struct BlockIQ2_XS {
  static constexpr size_t n_values = 256;
  uint16_t scale;
  uint16_t codes[32];
  uint8_t sub_scales[8];
};
static_assert(sizeof(BlockIQ2_XS) == 74);

// 32 groups of 8: ten bits of codebook index and eight signs; a 4-bit scale for every 16 values.
struct BlockIQ2_S {
  static constexpr size_t n_values = 256;
  uint16_t scale;
  uint8_t codes[32];
  uint8_t signs[32];
  uint8_t high_bits[8];  // two bits a group, lowest first
  uint8_t sub_scales[8];
};
static_assert(sizeof(BlockIQ2_S) == 82);

void decode_iq2_xxs(const void* blocks, float* values, size_t n_values);
void decode_iq2_xs(const void* blocks, float* values, size_t n_values);
void decode_iq2_s(const void* blocks, float* values, size_t n_values);

void encode_iq2_xxs(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_iq2_xs(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_iq2_s(const float* values, const float* importance, void* blocks, size_t n_values);

}  // namespace edgellm
