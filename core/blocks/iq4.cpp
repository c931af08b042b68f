#include "core/blocks/iq4.h"

#include "core/base/float16.h"

namespace edgellm {

void decode_iq4_nl(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockIQ4_NL*>(blocks);
  for (float* end = values + n_values; values != end; values += 32, ++block) {
    float scale = float_from_half(block->scale);
    for (int i = 0; i < 16; ++i) {
      values[i] = scale * float(kIq4Levels[block->codes[i] & 15]);
      values[i + 16] = scale * float(kIq4Levels[block->codes[i] >> 4]);
    }
  }
}

void decode_iq4_xs(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockIQ4_XS*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    for (int sub = 0; sub < 8; ++sub, values += 32) {
      int low = block->sub_scales_low[sub / 2] >> (4 * (sub % 2)) & 15;
      int high = block->sub_scales_high >> (2 * sub) & 3;
      float sub_scale = scale * float((low | high << 4) - 32);
      const uint8_t* codes = block->codes + 16 * sub;
      for (int i = 0; i < 16; ++i) {
        values[i] = sub_scale * float(kIq4Levels[codes[i] & 15]);
        values[i + 16] = sub_scale * float(kIq4Levels[codes[i] >> 4]);
      }
    }
  }
}

}  // namespace edgellm
