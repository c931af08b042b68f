// The parts of the AVX-512 matrix product, chosen between by matrix_product.cpp.
#pragma once

#include "runtime/kernels/kernels.h"

namespace edgellm::avx512 {

// With more tokens, unpacking a panel costs less than unpacking every row for every token.
constexpr size_t kMaxTokensOfKQuantRows = 2, kMaxTokensOfLegacyRows = 3, kMaxTokensOfCodebookRows = 3;

// For a few tokens: dot products straight on the mapped blocks, a few rows at a time.
void multiply_k_quant_rows(const MatrixProduct& product);  // Q2_K to Q6_K, IQ4_XS
void multiply_legacy_rows(const MatrixProduct& product);   // Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL
void multiply_q2_0_rows(const MatrixProduct& product);     // with q2_0_scratch_bytes of scratch
size_t q2_0_scratch_bytes(size_t n_columns);
// IQ1, IQ2 and IQ3; with codebook_scratch_bytes of scratch.
void multiply_codebook_rows(const MatrixProduct& product);
size_t codebook_scratch_bytes(size_t n_columns);

// For many tokens: panels of 32 rows unpacked to bytes once and used for every token. Same types as above.
void multiply_panels(const MatrixProduct& product);
size_t panel_scratch_bytes(size_t n_columns);

// Float activations: F32, F16, BF16, and every type without an integer product, which is decoded first.
void multiply_floats(const MatrixProduct& product);
size_t float_scratch_bytes(size_t n_columns);

}  // namespace edgellm::avx512
