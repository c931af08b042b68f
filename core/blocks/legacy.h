// Blocks of 32 values with one scale (and one minimum) each: the first formats of GGUF, still the ones for
// rows whose length is no multiple of 256. docs/formats.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgellm {

// value = scale * (code - 8); byte i holds the code of value i in its low half and of value i + 16 in its
// high half.
struct BlockQ4_0 {
  static constexpr size_t n_values = 32;
  uint16_t scale;  // half float, as every scale of these headers
  uint8_t codes[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

// value = scale * code + min.
struct BlockQ4_1 {
  static constexpr size_t n_values = 32;
  uint16_t scale;
  uint16_t min;
  uint8_t codes[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

// value = scale * (code - 16); bit i of high_bits is the fifth bit of code i.
struct BlockQ5_0 {
  static constexpr size_t n_values = 32;
  uint16_t scale;
  uint8_t high_bits[4];
  uint8_t codes[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

// value = scale * code + min.
struct BlockQ5_1 {
  static constexpr size_t n_values = 32;
  uint16_t scale;
  uint16_t min;
  uint8_t high_bits[4];
  uint8_t codes[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

// value = scale * code.
struct BlockQ8_0 {
  static constexpr size_t n_values = 32;
  uint16_t scale;
  int8_t codes[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

// Q8_0 with scale * (sum of the codes) kept, for products with formats that have a minimum.
struct BlockQ8_1 {
  static constexpr size_t n_values = 32;
  uint16_t scale;
  uint16_t scaled_sum;
  int8_t codes[32];
};
static_assert(sizeof(BlockQ8_1) == 36);

void decode_q4_0(const void* blocks, float* values, size_t n_values);
void decode_q4_1(const void* blocks, float* values, size_t n_values);
void decode_q5_0(const void* blocks, float* values, size_t n_values);
void decode_q5_1(const void* blocks, float* values, size_t n_values);
void decode_q8_0(const void* blocks, float* values, size_t n_values);
void decode_q8_1(const void* blocks, float* values, size_t n_values);

void encode_q4_0(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_q4_1(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_q5_0(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_q5_1(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_q8_0(const float* values, const float* importance, void* blocks, size_t n_values);

}  // namespace edgellm
