// Three levels {-1, 0, 1} * scale, 256 values a block. docs/formats.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgellm {

// Five base-3 digits a byte, stored as a fraction of 256 so that a multiplication by 3^n brings digit n to
// the top.
struct BlockTQ1_0 {
  static constexpr size_t n_values = 256;
  uint8_t codes[48];      // bytes 0-31: values 32 * n + i, n < 5; bytes 32-47: values 160 + 16 * n + i
  uint8_t last_codes[4];  // values 240 + 4 * n + i, n < 4
  uint16_t scale;
};
static_assert(sizeof(BlockTQ1_0) == 54);

// value = scale * (code - 1); byte 32 * h + i: values 128 * h + i + {0, 32, 64, 96}, two bits each, lowest
// first.
struct BlockTQ2_0 {
  static constexpr size_t n_values = 256;
  uint8_t codes[64];
  uint16_t scale;
};
static_assert(sizeof(BlockTQ2_0) == 66);

void decode_tq1_0(const void* blocks, float* values, size_t n_values);
void decode_tq2_0(const void* blocks, float* values, size_t n_values);

}  // namespace edgellm
