// Four-bit floats (E2M1) under a shared small-float scale. docs/formats.md has the bytes; the value table is
// the one of the OCP Microscaling Formats specification v1.0, doubled so that it is whole numbers.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace edgellm {

inline constexpr int8_t kE2m1DoubledLevels[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// value = 2^(exponent - 128) * doubled level; byte i holds the code of value i low and of value i + 16 high.
struct BlockMXFP4 {
  static constexpr size_t n_values = 32;
  uint8_t exponent;
  uint8_t codes[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

// 4 sub-blocks of 16; value = E4M3(sub_scale) / 2 * doubled level; in each group of 8 bytes, low halves
// first.
struct BlockNVFP4 {
  static constexpr size_t n_values = 64;
  uint8_t sub_scales[4];
  uint8_t codes[32];
};
static_assert(sizeof(BlockNVFP4) == 36);

// Half of the power of two that an E8M0 byte means: 2^(exponent - 128), the two smallest as subnormals.
inline float half_float_from_e8m0(uint8_t exponent) {
  return std::bit_cast<float>(exponent < 2 ? 0x00200000u << exponent : uint32_t(exponent - 1) << 23);
}

// Half of the value of an unsigned E4M3 byte (bias 7; 127 is "not a number" and counts as 0). The top bit of
// the byte is no part of the number.
inline float half_float_from_e4m3(uint8_t byte) {
  if (byte == 0 || byte == 127) return 0.0f;
  int exponent = byte >> 3 & 15;
  float mantissa = float(byte & 7);
  if (exponent == 0) return mantissa * 0x1p-10f;
  return (1.0f + mantissa / 8.0f) * std::bit_cast<float>(uint32_t(exponent + 119) << 23);
}

void decode_mxfp4(const void* blocks, float* values, size_t n_values);
void decode_nvfp4(const void* blocks, float* values, size_t n_values);

}  // namespace edgellm
