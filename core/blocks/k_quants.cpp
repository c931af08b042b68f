#include "core/blocks/k_quants.h"

#include "core/base/float16.h"

namespace edgellm {

void decode_q2_k(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ2_K*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale), min = float_from_half(block->min);
    for (int sub = 0; sub < 16; ++sub, values += 16) {
      float sub_scale = scale * float(block->sub_scales[sub] & 15);
      float sub_min = min * float(block->sub_scales[sub] >> 4);
      const uint8_t* codes = block->codes + 32 * (sub / 8) + 16 * (sub % 2);
      int shift = 2 * (sub / 2 % 4);
      for (int i = 0; i < 16; ++i) values[i] = sub_scale * float(codes[i] >> shift & 3) - sub_min;
    }
  }
}

void decode_q3_k(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ3_K*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    uint8_t scales[16];
    unpack_q3_k_scales(block->sub_scales, scales);
    for (int sub = 0; sub < 16; ++sub, values += 16) {
      float sub_scale = scale * float(int(scales[sub]) - 32);
      const uint8_t* codes = block->codes + 32 * (sub / 8) + 16 * (sub % 2);
      const uint8_t* high = block->high_bits + 16 * (sub % 2);
      int shift = 2 * (sub / 2 % 4), high_shift = sub / 2;
      for (int i = 0; i < 16; ++i) {
        int code = (codes[i] >> shift & 3) | (high[i] >> high_shift & 1) << 2;
        values[i] = sub_scale * float(code - 4);
      }
    }
  }
}

void decode_q4_k(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ4_K*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale), min = float_from_half(block->min);
    uint8_t scales[8], mins[8];
    unpack_scales_and_mins(block->sub_scales, scales, mins);
    for (int sub = 0; sub < 8; ++sub, values += 32) {
      float sub_scale = scale * float(scales[sub]), sub_min = min * float(mins[sub]);
      const uint8_t* codes = block->codes + 32 * (sub / 2);
      int shift = 4 * (sub % 2);
      for (int i = 0; i < 32; ++i) values[i] = sub_scale * float(codes[i] >> shift & 15) - sub_min;
    }
  }
}

void decode_q5_k(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ5_K*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale), min = float_from_half(block->min);
    uint8_t scales[8], mins[8];
    unpack_scales_and_mins(block->sub_scales, scales, mins);
    for (int sub = 0; sub < 8; ++sub, values += 32) {
      float sub_scale = scale * float(scales[sub]), sub_min = min * float(mins[sub]);
      const uint8_t* codes = block->codes + 32 * (sub / 2);
      int shift = 4 * (sub % 2);
      for (int i = 0; i < 32; ++i) {
        int code = (codes[i] >> shift & 15) | (block->high_bits[i] >> sub & 1) << 4;
        values[i] = sub_scale * float(code) - sub_min;
      }
    }
  }
}

void decode_q6_k(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ6_K*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    for (int sub = 0; sub < 16; ++sub, values += 16) {
      float sub_scale = scale * float(block->sub_scales[sub]);
      const uint8_t* low = block->low_bits + 64 * (sub / 8) + 16 * (sub % 4);
      const uint8_t* high = block->high_bits + 32 * (sub / 8) + 16 * (sub % 2);
      int low_shift = 4 * (sub / 4 % 2), high_shift = 2 * (sub / 2 % 4);
      for (int i = 0; i < 16; ++i) {
        int code = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
        values[i] = sub_scale * float(code - 32);
      }
    }
  }
}

void decode_q8_k(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ8_K*>(blocks);
  for (float* end = values + n_values; values != end; values += 256, ++block)
    for (int i = 0; i < 256; ++i) values[i] = block->scale * float(block->codes[i]);
}

}  // namespace edgellm
