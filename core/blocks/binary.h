// One and two bits a value with one half-float scale. docs/formats.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgellm {

// value = scale where bit i % 8 of byte i / 8 is set, otherwise -scale.
struct BlockQ1_0 {
  static constexpr size_t n_values = 128;
  uint16_t scale;
  uint8_t codes[16];
};
static_assert(sizeof(BlockQ1_0) == 18);

// value = scale * (code - 1); byte i holds values 4 * i to 4 * i + 3, two bits each, lowest first.
struct BlockQ2_0 {
  static constexpr size_t n_values = 64;
  uint16_t scale;
  uint8_t codes[16];
};
static_assert(sizeof(BlockQ2_0) == 18);

void decode_q1_0(const void* blocks, float* values, size_t n_values);
void decode_q2_0(const void* blocks, float* values, size_t n_values);

// Of all scales the one of least weighted squared error, as nearly as a half float holds it.
void encode_q2_0(const float* values, const float* importance, void* blocks, size_t n_values);

}  // namespace edgellm
