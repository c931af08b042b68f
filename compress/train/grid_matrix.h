// A matrix on the grid of its block format with a code a value, with all that the file stores as tensors that
// can be trained: the scales and minima of blocks, the whole numbers of runs, and the levels that values are
// rounded to.
#pragma once

#include "compress/train/trained_matrix.h"
#include "core/blocks/block_grid.h"

namespace edgellm {

class GridMatrix : public TrainedMatrix {
 public:
  // As unpack_trained_matrix().
  static Result<GridMatrix> unpack(std::span<const std::byte> bytes, TensorType type, int64_t n_rows,
                                   int64_t n_columns);

  TensorType type() const override { return grid_->type; }
  void move_to(at::Device device) override;
  int64_t n_rows() const { return n_rows_; }
  int64_t n_columns() const { return n_columns_; }

  at::Tensor weights() const override;
  std::vector<uint8_t> pack() const override;
  std::vector<at::Tensor> block_parameters() const override;
  void use_block_changes(std::span<const at::Tensor> changes) override;
  Rounding train_rounding(const at::Tensor& wanted, bool keeps_zeros) override;
  // Uses changes that get gradients, zero at first.
  std::vector<at::Tensor> train_block_scales();
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
  at::Tensor kept_;    // bool, of levels that are not trained with the others; undefined: none
};

}  // namespace edgellm
