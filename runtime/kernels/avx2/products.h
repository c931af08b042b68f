// The parts of avx2's matrix product; each takes any row range. Tokens are told apart by their activation
// rows.
#pragma once

#include "runtime/kernels/kernels.h"

namespace edgellm::avx2 {

// The most tokens for which a row's blocks are multiplied where they lie; beyond, panels of rows are unpacked
// first.
constexpr size_t kFewTokens = 3;

// Integer block types against quantized activations: up to kFewTokens, and any number.
void multiply_in_place(const MatrixProduct& product);
void multiply_q2_0_in_place(const MatrixProduct& product);  // with q2_0_scratch_bytes of scratch
size_t q2_0_scratch_bytes(size_t n_columns);
void multiply_unpacked(const MatrixProduct& product);
size_t unpacked_scratch_bytes();

// Every type by way of floats.
void multiply_floats(const MatrixProduct& product);
size_t floats_scratch_bytes(size_t n_columns);

}  // namespace edgellm::avx2
