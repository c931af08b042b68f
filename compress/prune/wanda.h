// Wanda (Sun et al., "A Simple and Effective Pruning Approach for Large Language Models", arXiv 2306.11695):
// weights of least |w| * norm of their input column go, compared within their own row.
#pragma once

#include "compress/prune/sparsity.h"

namespace edgellm {

// weights: [n_rows, n_columns]; column_squares: [n_columns], sums (or means) over calibration tokens of the
// squared input of each column: only their ratios matter. Of every row int(n_columns * fraction) weights go.
Result<SparsityMask> prune_wanda(const at::Tensor& weights, const at::Tensor& column_squares,
                                 const SparsityPattern& pattern);

// The baseline: weights of least magnitude, compared over the whole matrix. As the official program, those
// equal to the threshold go too, so that one weight more than the fraction says is pruned.
Result<SparsityMask> prune_magnitude(const at::Tensor& weights, const SparsityPattern& pattern);

}  // namespace edgellm
