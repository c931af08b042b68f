// A matrix on the grid of its block format, with what the file stores as tensors that can be trained: the
// scales and minima of blocks, the whole numbers of runs, and the levels that values are rounded to. What
// weights() gives is, bit for bit, what a file of pack()'s bytes decodes to, whatever was trained: numbers
// are rounded in the forward direction as the file rounds them, and gradients pass through the rounding
// (straight-through, arXiv 1308.3432; as EfficientQAT trains, arXiv 2407.11062, but on the formats' own
// grids).
#pragma once

#include <ATen/ATen.h>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/blocks/block_grid.h"

namespace edgellm {

class GridMatrix {
 public:
  // bytes: n_rows rows as a GGUF file has them. Error for a type without a grid of single values, a row that
  // is no multiple of its block, bytes of another size, or a code that is no level (Q8_0's -128).
  static Result<GridMatrix> unpack(std::span<const std::byte> bytes, TensorType type, int64_t n_rows,
                                   int64_t n_columns);

  TensorType type() const { return grid_->type; }
  int64_t n_rows() const { return n_rows_; }
  int64_t n_columns() const { return n_columns_; }

  // [n_rows, n_columns], float; differentiable in what train_... gave.
  at::Tensor weights() const;
  std::vector<uint8_t> pack() const;

  // The scales of blocks, and their minima where the format has such: [n_rows, n_blocks] each.
  std::vector<at::Tensor> block_parameters() const;
  // From now on they get gradients: relative changes, zero at first. Those that are zero stay so.
  std::vector<at::Tensor> train_block_scales();
  // The same with changes from elsewhere, one for each of block_parameters().
  void use_block_changes(std::span<const at::Tensor> changes);
  // The whole numbers of runs, [n_rows, n_runs], in their own units. Empty where a block is a run.
  std::vector<at::Tensor> train_run_scales();
  // What levels are rounded from, [n_rows, n_columns], in distances of neighbouring levels: the place of
  // `wanted` (the weights that were rounded) on the grid, but no further from the level it has now than stays
  // rounded to it.
  at::Tensor train_levels(const at::Tensor& wanted);

  // Nothing is trained any more; what was, is as the file has it.
  void settle();

 private:
  GridMatrix(const BlockGrid& grid, int64_t n_rows, int64_t n_columns);
  at::Tensor block_scales() const;  // [n_rows, n_blocks], as the file has them
  at::Tensor block_mins() const;
  at::Tensor run_scales() const;  // [n_rows, n_runs]
  at::Tensor run_mins() const;
  at::Tensor indices() const;  // of levels, [n_rows, n_columns]

  bool has_runs() const { return grid_->scale_high != 0; }
  bool has_mins() const { return grid_->min != BlockGrid::Min::kNone; }
  bool is_uneven() const { return grid_->levels().iq4; }
  int last_index() const {  // of a level
    return is_uneven() ? 15 : int(grid_->levels().high - grid_->levels().low);
  }

  const BlockGrid* grid_;
  int64_t n_rows_, n_columns_, n_blocks_, n_runs_;
  at::Tensor block_scales_, block_mins_;    // [n_rows, n_blocks], float, of before training
  at::Tensor scale_changes_, min_changes_;  // undefined where they are not trained
  at::Tensor run_scales_, run_mins_;        // [n_rows, n_runs], float
  at::Tensor indices_;                      // of levels, from 0: [n_rows, n_columns], uint8
  at::Tensor places_;  // what they are rounded from; undefined where they are not trained
};

}  // namespace edgellm
