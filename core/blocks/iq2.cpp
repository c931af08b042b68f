#include "core/blocks/iq2.h"

#include "core/base/float16.h"
#include "core/blocks/codebooks.h"

namespace edgellm {
namespace {

void decode_group(uint64_t entry, uint8_t signs, float scale, float* values) {
  for (int i = 0; i < 8; ++i) {
    float magnitude = scale * float(entry >> (8 * i) & 255);
    values[i] = signs >> i & 1 ? -magnitude : magnitude;
  }
}

}  // namespace

void decode_iq2_xxs(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockIQ2_XXS*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    for (int group = 0; group < 8; ++group) {
      const uint16_t* words = block->words + 4 * group;
      uint32_t indices = words[0] | uint32_t(words[1]) << 16, rest = words[2] | uint32_t(words[3]) << 16;
      float group_scale = scale * (0.5f + float(rest >> 28)) * 0.25f;
      for (int k = 0; k < 4; ++k, values += 8)
        decode_group(kIq2XxsCodebook[indices >> (8 * k) & 255], signs_from_seven_bits(rest >> (7 * k)),
                     group_scale, values);
    }
  }
}

void decode_iq2_xs(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockIQ2_XS*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    for (int group = 0; group < 32; ++group, values += 8) {
      int sub_scale = block->sub_scales[group / 4] >> (4 * (group / 2 % 2)) & 15;
      uint16_t code = block->codes[group];
      decode_group(kIq2XsCodebook[code & 511], signs_from_seven_bits(code >> 9),
                   scale * (0.5f + float(sub_scale)) * 0.25f, values);
    }
  }
}

void decode_iq2_s(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockIQ2_S*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    for (int group = 0; group < 32; ++group, values += 8) {
      int sub_scale = block->sub_scales[group / 4] >> (4 * (group / 2 % 2)) & 15;
      int index = block->codes[group] | (block->high_bits[group / 4] >> (2 * (group % 4)) & 3) << 8;
      decode_group(kIq2SCodebook[size_t(index)], block->signs[group],
                   scale * (0.5f + float(sub_scale)) * 0.25f, values);
    }
  }
}

}  // namespace edgellm
