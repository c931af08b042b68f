// One row of weights times one token, straight on the blocks: what generation is made of.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/blocks/tensor_type.h"
#include "runtime/kernels/activation_rows.h"

namespace edgellm::neon {

// The planes of one activation row; those its format lacks are not to be read.
struct Token {
  const int8_t* codes;
  const float* scales;       // a block
  const float* scaled_sums;  // 32 values
  const int16_t* sums;       // 16 values
  const int32_t* biases;     // 16 values of a q8_256 row: -32 * (sum of the codes)
};

static inline Token token_at(const void* activations, const ActivationPlanes& planes, size_t index) {
  auto row = static_cast<const uint8_t*>(activations) + index * planes.n_bytes;
  return {reinterpret_cast<const int8_t*>(row), reinterpret_cast<const float*>(row + planes.scales),
          reinterpret_cast<const float*>(row + planes.scaled_sums),
          reinterpret_cast<const int16_t*>(row + planes.sums),
          reinterpret_cast<const int32_t*>(row + planes.biases)};
}

using RowDot = float (*)(const void* blocks, const Token& token, size_t n_columns);
// For blocks of 32 (row_dot.cpp) and of 256 (row_dot_k.cpp, and row_dot_codebook.cpp for IQ1, IQ2 and IQ3);
// null for other types.
RowDot row_dot_of_32(TensorType type);
RowDot row_dot_of_256(TensorType type);
RowDot row_dot_of_codebook(TensorType type);

}  // namespace edgellm::neon
