#include "core/blocks/binary.h"

#include "core/base/float16.h"

namespace edgellm {

void decode_q1_0(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ1_0*>(blocks);
  for (float* end = values + n_values; values != end; values += 128, ++block) {
    float scale = float_from_half(block->scale);
    for (int i = 0; i < 128; ++i) values[i] = (block->codes[i / 8] >> (i % 8) & 1) ? scale : -scale;
  }
}

void decode_q2_0(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockQ2_0*>(blocks);
  for (float* end = values + n_values; values != end; values += 64, ++block) {
    float scale = float_from_half(block->scale);
    for (int i = 0; i < 64; ++i) values[i] = scale * float((block->codes[i / 4] >> (2 * (i % 4)) & 3) - 1);
  }
}

}  // namespace edgellm
