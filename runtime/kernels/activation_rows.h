// Where things lie in a quantized activation row. Planes rather than blocks, each on a 64-byte boundary, so
// that a kernel reads every one of them with whole vectors. A row is read only by the table that wrote it.
// Functions are static: kernel folders compile this header with flags of their own.
#pragma once

#include <cstddef>

#include "runtime/kernels/kernels.h"

namespace edgellm {

// Byte offsets in a row; the codes, int8 [n_columns], are at 0.
struct ActivationPlanes {
  size_t scales;       // float [n_columns / 32 or 256]; value = scale * code
  size_t scaled_sums;  // q8_32 only: float [n_columns / 32], scale * (sum of the codes)
  size_t sums;         // q8_256 only: int16 [n_columns / 16], sum of the codes
  size_t sums_of_32;   // q8_256 only: int16 [n_columns / 32]
  // int32, -128 * (sum of the codes): what an accumulator starts from when the weights' codes have 128 added
  // to make them unsigned. q8_32: [n_columns / 32]; q8_256: [n_columns / 16].
  size_t biases;
  size_t block_biases;  // q8_256 only: int32 [n_columns / 256]
  size_t n_bytes;
};

static inline size_t whole_lines(size_t n_bytes) {
  return (n_bytes + 63) / 64 * 64;
}

static inline ActivationPlanes activation_planes(ActivationFormat format, size_t n_columns) {
  ActivationPlanes planes = {};
  if (format == ActivationFormat::f32) {
    planes.n_bytes = whole_lines(n_columns * 4);
    // Rows a page apart would share the few lines of one set of the first cache.
    if (planes.n_bytes % 4096 == 0) planes.n_bytes += 64;
  } else if (format == ActivationFormat::q8_32) {
    planes.scales = whole_lines(n_columns);
    planes.scaled_sums = planes.scales + whole_lines(n_columns / 32 * 4);
    planes.biases = planes.scaled_sums + whole_lines(n_columns / 32 * 4);
    planes.n_bytes = planes.biases + whole_lines(n_columns / 32 * 4);
  } else {
    planes.scales = whole_lines(n_columns);
    planes.sums = planes.scales + whole_lines(n_columns / 256 * 4);
    planes.sums_of_32 = planes.sums + whole_lines(n_columns / 16 * 2);
    planes.biases = planes.sums_of_32 + whole_lines(n_columns / 32 * 2);
    planes.block_biases = planes.biases + whole_lines(n_columns / 16 * 4);
    planes.n_bytes = planes.block_biases + whole_lines(n_columns / 256 * 4);
  }
  return planes;
}

}  // namespace edgellm
