// About three bits a value: four values are an entry of a codebook, with signs apart. docs/formats.md has the
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgellm {

// 8 groups of 32: eight codebook indices, and a word of four times seven sign bits with the group's scale s
// on top. value = sign * scale * (s + 1/2) / 2 * codebook value.
struct BlockIQ3_XXS {
  static constexpr size_t n_values = 256;
  uint16_t scale;
  uint8_t codes[64];
  uint8_t signs_and_scales[32];  // a 32-bit word a group, lowest byte first
};
static_assert(sizeof(BlockIQ3_XXS) == 98);

// 64 groups of 4 with nine bits of codebook index; value = sign * scale * (2 * s + 1) * codebook value, a
// 4-bit s for every 32 values.
struct BlockIQ3_S {
  static constexpr size_t n_values = 256;
  uint16_t scale;
  uint8_t codes[64];
  uint8_t high_bits[8];  // one bit a group, lowest first
  uint8_t signs[32];
  uint8_t sub_scales[4];
};
static_assert(sizeof(BlockIQ3_S) == 110);

void decode_iq3_xxs(const void* blocks, float* values, size_t n_values);
void decode_iq3_s(const void* blocks, float* values, size_t n_values);

void encode_iq3_xxs(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_iq3_s(const float* values, const float* importance, void* blocks, size_t n_values);

}  // namespace edgellm
