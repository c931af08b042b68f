#include "core/blocks/legacy.h"

#include "core/base/float16.h"

namespace edgellm {

void decode_q4_0(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ4_0*>(blocks);
  for (float* end = values + n_values; values != end; values += 32, ++block) {
    float scale = float_from_half(block->scale);
    for (int i = 0; i < 16; ++i) {
      values[i] = scale * float((block->codes[i] & 15) - 8);
      values[i + 16] = scale * float((block->codes[i] >> 4) - 8);
    }
  }
}

void decode_q4_1(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ4_1*>(blocks);
  for (float* end = values + n_values; values != end; values += 32, ++block) {
    float scale = float_from_half(block->scale), min = float_from_half(block->min);
    for (int i = 0; i < 16; ++i) {
      values[i] = scale * float(block->codes[i] & 15) + min;
      values[i + 16] = scale * float(block->codes[i] >> 4) + min;
    }
  }
}

namespace {

uint32_t fifth_bits(const uint8_t bytes[4]) {
  return uint32_t(bytes[0]) | uint32_t(bytes[1]) << 8 | uint32_t(bytes[2]) << 16 | uint32_t(bytes[3]) << 24;
}

}  // namespace

void decode_q5_0(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ5_0*>(blocks);
  for (float* end = values + n_values; values != end; values += 32, ++block) {
    float scale = float_from_half(block->scale);
    uint32_t high = fifth_bits(block->high_bits);
    for (int i = 0; i < 16; ++i) {
      int low_code = (block->codes[i] & 15) | int((high >> i & 1) << 4);
      int high_code = (block->codes[i] >> 4) | int((high >> (i + 16) & 1) << 4);
      values[i] = scale * float(low_code - 16);
      values[i + 16] = scale * float(high_code - 16);
    }
  }
}

void decode_q5_1(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ5_1*>(blocks);
  for (float* end = values + n_values; values != end; values += 32, ++block) {
    float scale = float_from_half(block->scale), min = float_from_half(block->min);
    uint32_t high = fifth_bits(block->high_bits);
    for (int i = 0; i < 16; ++i) {
      int low_code = (block->codes[i] & 15) | int((high >> i & 1) << 4);
      int high_code = (block->codes[i] >> 4) | int((high >> (i + 16) & 1) << 4);
      values[i] = scale * float(low_code) + min;
      values[i + 16] = scale * float(high_code) + min;
    }
  }
}

void decode_q8_0(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ8_0*>(blocks);
  for (float* end = values + n_values; values != end; values += 32, ++block) {
    float scale = float_from_half(block->scale);
    for (int i = 0; i < 32; ++i) values[i] = scale * float(block->codes[i]);
  }
}

void decode_q8_1(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ8_1*>(blocks);
  for (float* end = values + n_values; values != end; values += 32, ++block) {
    float scale = float_from_half(block->scale);
    for (int i = 0; i < 32; ++i) values[i] = scale * float(block->codes[i]);
  }
}

}  // namespace edgellm
