// SparseGPT (Frantar and Alistarh, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot",
// arXiv 2301.00774): weights go column by column, and those to the right make up for what each leaves.
#pragma once

#include <functional>

#include "compress/prune/sparsity.h"

namespace edgellm {

struct SparseGptOptions {
  SparsityPattern pattern = {};
  int64_t n_block_columns = 128;  // columns whose mask is chosen together
  double damping = 0.01;          // share of the Hessian's mean diagonal that is added to it
  // Rounds what stays of a column [n_rows] to a grid, for a quantization in the same pass; zeros of the
  // result stay zeros where the grid has a zero. Empty: not rounded.
  std::function<at::Tensor(const at::Tensor& column, int64_t index)> round = {};
};

struct SparseGptResult {
  at::Tensor weights;  // [n_rows, n_columns], zero where pruned
  double loss = 0;     // half the sum over weights of (w - q)^2 / d^2, d the diagonal of the inverse's factor
  double damping =
      0;  // that made the Hessian positive definite; larger than asked for where that was too little
};

// Within a block the pruned weights are those of the least w^2 / d^2, over all rows; one more than the
// fraction says, as the official program takes those equal to the threshold too. Grouped patterns choose at
// the first column of each group, with what earlier columns have changed. weights: [n_rows, n_columns];
// hessian: [n_columns, n_columns], 2 / n times the sum of x x^T over calibration inputs x (any multiple gives
// the same). Columns of no input are set to zero. Error when no damping up to the mean diagonal makes the
// Hessian positive definite.
Result<SparseGptResult> prune_sparsegpt(const at::Tensor& weights, const at::Tensor& hessian,
                                        const SparseGptOptions& options);

}  // namespace edgellm
