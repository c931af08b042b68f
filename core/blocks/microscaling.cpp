#include "core/blocks/microscaling.h"

namespace edgellm {

void decode_mxfp4(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockMXFP4*>(blocks);
  for (float* end = values + n_values; values != end; values += 32, ++block) {
    float scale = half_float_from_e8m0(block->exponent);
    for (int i = 0; i < 16; ++i) {
      values[i] = scale * float(kE2m1DoubledLevels[block->codes[i] & 15]);
      values[i + 16] = scale * float(kE2m1DoubledLevels[block->codes[i] >> 4]);
    }
  }
}

void decode_nvfp4(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockNVFP4*>(blocks);
  for (float* end = values + n_values; values != end; ++block)
    for (int sub = 0; sub < 4; ++sub, values += 16) {
      float scale = half_float_from_e4m3(block->sub_scales[sub]);
      for (int i = 0; i < 8; ++i) {
        values[i] = scale * float(kE2m1DoubledLevels[block->codes[8 * sub + i] & 15]);
        values[i + 8] = scale * float(kE2m1DoubledLevels[block->codes[8 * sub + i] >> 4]);
      }
    }
}

}  // namespace edgellm
