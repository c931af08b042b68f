#include "core/blocks/iq3.h"

#include "core/base/float16.h"
#include "core/blocks/codebooks.h"

namespace edgellm {
namespace {

void decode_group(uint32_t first, uint32_t second, uint8_t signs, float scale, float* values) {
  uint64_t entries = first | uint64_t(second) << 32;
  for (int i = 0; i < 8; ++i) {
    float magnitude = scale * float(entries >> (8 * i) & 255);
    values[i] = signs >> i & 1 ? -magnitude : magnitude;
  }
}

}  // namespace

void decode_iq3_xxs(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockIQ3_XXS*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    for (int group = 0; group < 8; ++group) {
      const uint8_t* bytes = block->signs_and_scales + 4 * group;
      uint32_t word =
          bytes[0] | uint32_t(bytes[1]) << 8 | uint32_t(bytes[2]) << 16 | uint32_t(bytes[3]) << 24;
      float group_scale = scale * (0.5f + float(word >> 28)) * 0.5f;
      for (int k = 0; k < 4; ++k, values += 8) {
        const uint8_t* codes = block->codes + 8 * group + 2 * k;
        decode_group(kIq3XxsCodebook[codes[0]], kIq3XxsCodebook[codes[1]],
                     signs_from_seven_bits(word >> (7 * k)), group_scale, values);
      }
    }
  }
}

void decode_iq3_s(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockIQ3_S*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    for (int k = 0; k < 32; ++k, values += 8) {
      int sub_scale = block->sub_scales[k / 8] >> (4 * (k / 4 % 2)) & 15;
      int high = block->high_bits[k / 4] >> (2 * (k % 4));
      size_t first = size_t(block->codes[2 * k] | (high & 1) << 8);
      size_t second = size_t(block->codes[2 * k + 1] | (high >> 1 & 1) << 8);
      decode_group(kIq3SCodebook[first], kIq3SCodebook[second], block->signs[k],
                   scale * float(1 + 2 * sub_scale), values);
    }
  }
}

}  // namespace edgellm
