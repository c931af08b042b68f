// Under two bits a value: eight values are a ternary entry of a codebook shifted by an eighth up or down.
// docs/formats.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgellm {

// 8 groups of 32: four 11-bit codebook indices; high_bits has their top three bits each, then the group's
// 3-bit scale s and the sign of the shift. value = scale * (2 * s + 1) * (codebook value + or - 1/8).
struct BlockIQ1_S {
  static constexpr size_t n_values = 256;
  uint16_t scale;
  uint8_t codes[32];
  uint16_t high_bits[8];
};
static_assert(sizeof(BlockIQ1_S) == 50);

// 32 groups of 8: as IQ1_S with a shift for every 8 values and a 3-bit scale for every 16; the super-block's
// half float is the top four bits of the four words of sub_scales.
struct BlockIQ1_M {
  static constexpr size_t n_values = 256;
  uint8_t codes[32];
  uint8_t high_bits[16];  // a half byte a group: three bits of index, one of shift
  uint8_t sub_scales[8];  // four 16-bit words, lowest byte first
};
static_assert(sizeof(BlockIQ1_M) == 56);

void decode_iq1_s(const void* blocks, float* values, size_t n_values);
void decode_iq1_m(const void* blocks, float* values, size_t n_values);

void encode_iq1_s(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_iq1_m(const float* values, const float* importance, void* blocks, size_t n_values);

}  // namespace edgellm
