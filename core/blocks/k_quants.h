// Super-blocks of 256 values cut into sub-blocks of 16 or 32; a sub-block's scale (and minimum) is a small
// integer times the super-block's half float. docs/formats.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgellm {

// 16 sub-blocks of 16; value = scale * (s & 15) * code - min * (s >> 4), s the sub-block's byte.
struct BlockQ2_K {
  static constexpr size_t n_values = 256;
  uint8_t sub_scales[16];
  uint8_t codes[64];  // byte 32 * h + i: values 128 * h + i + {0, 32, 64, 96}, two bits each, lowest first
  uint16_t scale;
  uint16_t min;
};
static_assert(sizeof(BlockQ2_K) == 84);

// 16 sub-blocks of 16; value = scale * (s - 32) * (code - 4), s of 6 bits.
struct BlockQ3_K {
  static constexpr size_t n_values = 256;
  uint8_t high_bits[32];   // bit k of byte i: third bit of value 32 * k + i
  uint8_t codes[64];       // the low two bits, as in Q2_K
  uint8_t sub_scales[12];  // low halves of s[i], s[i + 8] in byte i; their high pairs in bytes 8 to 11
  uint16_t scale;
};
static_assert(sizeof(BlockQ3_K) == 110);

// 8 sub-blocks of 32; value = scale * s * code - min * m, s and m of 6 bits.
struct BlockQ4_K {
  static constexpr size_t n_values = 256;
  uint16_t scale;
  uint16_t min;
  uint8_t sub_scales[12];  // see unpack_scales_and_mins
  uint8_t codes[128];      // byte 32 * p + i: value 64 * p + i low, 64 * p + 32 + i high
};
static_assert(sizeof(BlockQ4_K) == 144);

// Q4_K with a fifth bit a code.
struct BlockQ5_K {
  static constexpr size_t n_values = 256;
  uint16_t scale;
  uint16_t min;
  uint8_t sub_scales[12];
  uint8_t high_bits[32];  // bit k of byte i: fifth bit of value 32 * k + i
  uint8_t codes[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

// 16 sub-blocks of 16; value = scale * s * (code - 32), s a signed byte.
struct BlockQ6_K {
  static constexpr size_t n_values = 256;
  uint8_t low_bits[128];  // byte 64 * h + i: value 128 * h + i low, 128 * h + 64 + i high
  uint8_t
      high_bits[64];  // byte 32 * h + i: values 128 * h + i + {0, 32, 64, 96}, two bits each, lowest first
  int8_t sub_scales[16];
  uint16_t scale;
};
static_assert(sizeof(BlockQ6_K) == 210);

// Activations for products with the types above; never in a file. value = scale * code.
struct BlockQ8_K {
  static constexpr size_t n_values = 256;
  float scale;
  int8_t codes[256];
  int16_t sums[16];  // of 16 codes each
};
static_assert(sizeof(BlockQ8_K) == 292);

// The eight 6-bit scales and mins of Q4_K and Q5_K. The first four of each lie in the low bits of bytes 0-3
// and 4-7; of the last four the low halves share bytes 8-11 (scale low, min high) and the high pairs are on
// top of bytes 0-7.
inline void unpack_scales_and_mins(const uint8_t packed[12], uint8_t scales[8], uint8_t mins[8]) {
  for (int i = 0; i < 4; ++i) {
    scales[i] = packed[i] & 63;
    mins[i] = packed[i + 4] & 63;
    scales[i + 4] = uint8_t((packed[i + 8] & 15) | (packed[i] >> 6) << 4);
    mins[i + 4] = uint8_t((packed[i + 8] >> 4) | (packed[i + 4] >> 6) << 4);
  }
}

inline void pack_scales_and_mins(const uint8_t scales[8], const uint8_t mins[8], uint8_t packed[12]) {
  for (int i = 0; i < 4; ++i) {
    packed[i] = uint8_t(scales[i] | (scales[i + 4] >> 4) << 6);
    packed[i + 4] = uint8_t(mins[i] | (mins[i + 4] >> 4) << 6);
    packed[i + 8] = uint8_t((scales[i + 4] & 15) | (mins[i + 4] & 15) << 4);
  }
}

// The sixteen 6-bit scales of Q3_K, 32 not yet subtracted.
inline void unpack_q3_k_scales(const uint8_t packed[12], uint8_t scales[16]) {
  for (int i = 0; i < 16; ++i) {
    int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
    scales[i] = uint8_t(low | ((packed[8 + i % 4] >> (2 * (i / 4))) & 3) << 4);
  }
}

inline void pack_q3_k_scales(const uint8_t scales[16], uint8_t packed[12]) {
  for (int i = 0; i < 8; ++i) packed[i] = uint8_t((scales[i] & 15) | (scales[i + 8] & 15) << 4);
  for (int i = 0; i < 4; ++i)
    packed[8 + i] = uint8_t(scales[i] >> 4 | (scales[i + 4] >> 4) << 2 | (scales[i + 8] >> 4) << 4 |
                            (scales[i + 12] >> 4) << 6);
}

void decode_q2_k(const void* blocks, float* values, size_t n_values);
void decode_q3_k(const void* blocks, float* values, size_t n_values);
void decode_q4_k(const void* blocks, float* values, size_t n_values);
void decode_q5_k(const void* blocks, float* values, size_t n_values);
void decode_q6_k(const void* blocks, float* values, size_t n_values);
void decode_q8_k(const void* blocks, float* values, size_t n_values);

void encode_q2_k(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_q3_k(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_q4_k(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_q5_k(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_q6_k(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_q8_k(const float* values, const float* importance, void* blocks, size_t n_values);

}  // namespace edgellm
