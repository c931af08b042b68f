#include "core/blocks/iq1.h"

#include "core/base/float16.h"
#include "core/blocks/codebooks.h"

namespace edgellm {
namespace {

void decode_group(uint64_t entry, float shift, float scale, float* values) {
  for (int i = 0; i < 8; ++i) values[i] = scale * (float(int8_t(entry >> (8 * i) & 255)) + shift);
}

}  // namespace

void decode_iq1_s(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockIQ1_S*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    for (int group = 0; group < 8; ++group) {
      uint16_t high = block->high_bits[group];
      float group_scale = scale * float(2 * (high >> 12 & 7) + 1), shift = high & 0x8000 ? -0.125f : 0.125f;
      for (int k = 0; k < 4; ++k, values += 8)
        decode_group(kIq1Codebook[size_t(block->codes[4 * group + k] | (high >> (3 * k) & 7) << 8)], shift,
                     group_scale, values);
    }
  }
}

void decode_iq1_m(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockIQ1_M*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    uint16_t words[4], half = 0;
    for (int i = 0; i < 4; ++i) {
      words[i] = uint16_t(block->sub_scales[2 * i] | block->sub_scales[2 * i + 1] << 8);
      half = uint16_t(half | (words[i] >> 12) << (4 * i));
    }
    float scale = float_from_half(half);
    for (int group = 0; group < 32; ++group, values += 8) {
      int sub_scale = words[group / 8] >> (3 * (group / 2 % 4)) & 7;
      int high = block->high_bits[group / 2] >> (4 * (group % 2));
      decode_group(kIq1Codebook[size_t(block->codes[group] | (high & 7) << 8)], high & 8 ? -0.125f : 0.125f,
                   scale * float(2 * sub_scale + 1), values);
    }
  }
}

}  // namespace edgellm
