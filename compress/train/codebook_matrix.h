// A matrix in a codebook format (IQ1, IQ2, IQ3): the scales of its blocks can be trained, its codes and the
// whole numbers of sub-blocks stay.
#pragma once

#include "compress/train/trained_matrix.h"
#include "core/blocks/codebook_grid.h"

namespace edgellm {

class CodebookMatrix : public TrainedMatrix {
 public:
  // As unpack_trained_matrix().
  static Result<CodebookMatrix> unpack(std::span<const std::byte> bytes, TensorType type, int64_t n_rows,
                                       int64_t n_columns);

  TensorType type() const override { return grid_->type; }
  void move_to(at::Device device) override;
  at::Tensor weights() const override;
  std::vector<uint8_t> pack() const override;
  std::vector<at::Tensor> block_parameters() const override { return {scales_}; }
  void use_block_changes(std::span<const at::Tensor> changes) override { change_ = changes[0]; }
  // Codes are no numbers that a gradient could move.
  Rounding train_rounding(const at::Tensor&, bool) override { return {}; }

 private:
  explicit CodebookMatrix(const CodebookGrid& grid) : grid_(&grid) {}

  const CodebookGrid* grid_;
  std::vector<uint8_t> bytes_;  // with the scales of before training
  at::Tensor scales_;           // [n_rows, n_blocks], float
  at::Tensor change_;           // undefined where they are not trained
  at::Tensor multiples_;  // of eighths of the scales, which the values are: [n_rows, n_blocks, 256], int16
};

}  // namespace edgellm
