#include "core/blocks/ternary.h"

#include "core/base/float16.h"

namespace edgellm {
namespace {

constexpr uint8_t kPowersOf3[5] = {1, 3, 9, 27, 81};

// n_digits runs of n_bytes values each: run n is digit n of every byte.
float* decode_digits(const uint8_t* bytes, int n_bytes, int n_digits, float scale, float* values) {
  for (int n = 0; n < n_digits; ++n, values += n_bytes)
    for (int i = 0; i < n_bytes; ++i) {
      uint8_t shifted = uint8_t(bytes[i] * kPowersOf3[n]);
      values[i] = scale * float((shifted * 3 >> 8) - 1);
    }
  return values;
}

}  // namespace

void decode_tq1_0(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockTQ1_0*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    values = decode_digits(block->codes, 32, 5, scale, values);
    values = decode_digits(block->codes + 32, 16, 5, scale, values);
    values = decode_digits(block->last_codes, 4, 4, scale, values);
  }
}

void decode_tq2_0(const void* blocks, float* values, size_t n_values) {
  auto block = static_cast<const BlockTQ2_0*>(blocks);
  for (float* end = values + n_values; values != end; ++block) {
    float scale = float_from_half(block->scale);
    for (int run = 0; run < 8; ++run, values += 32)
      for (int i = 0; i < 32; ++i)
        values[i] = scale * float((block->codes[32 * (run / 4) + i] >> (2 * (run % 4)) & 3) - 1);
  }
}

}  // namespace edgellm
