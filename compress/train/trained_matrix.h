// A quantized matrix of which a file's scales can be trained: what training asks of a format. What weights()
// gives is, bit for bit, what a file of pack()'s bytes decodes to, whatever was trained: numbers are rounded
// in the forward direction as the file rounds them, and gradients pass through the rounding
// (straight-through, arXiv 1308.3432; as EfficientQAT trains, arXiv 2407.11062, but on the formats' own
// grids).
#pragma once

#include <ATen/ATen.h>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

class TrainedMatrix {
 public:
  virtual ~TrainedMatrix() = default;

  virtual TensorType type() const = 0;
  // Where it computes, from now on; before anything of it is trained.
  virtual void move_to(at::Device device) = 0;
  // [n_rows, n_columns], float; differentiable in what is trained.
  virtual at::Tensor weights() const = 0;
  virtual std::vector<uint8_t> pack() const = 0;

  // The scales of blocks, and their minima where the format has such: [n_rows, n_blocks] each.
  virtual std::vector<at::Tensor> block_parameters() const = 0;
  // From now on they are changed by these shares of themselves, one for each of block_parameters(). Those
  // that are zero stay so.
  virtual void use_block_changes(std::span<const at::Tensor> changes) = 0;

  // What values are rounded to, where the format lets that be trained: their places on the grid, and the
  // whole numbers of runs. `wanted`: the weights that were rounded, [n_rows, n_columns]. keeps_zeros:
  // those that are zero, there and rounded, stay it; for a type that holds one (core/blocks/exact_zero.h).
  struct Rounding {
    std::vector<at::Tensor> levels;  // in distances of neighbouring levels
    std::vector<at::Tensor> runs;    // in their own units
  };
  virtual Rounding train_rounding(const at::Tensor& wanted, bool keeps_zeros) = 0;
};

// `rounded` going forward, bit for bit, `exact`'s gradient going back.
at::Tensor straight_through(const at::Tensor& exact, const at::Tensor& rounded);
// A copy of block scales or minima, times 1 + change where there is one, as a file has them: half floats.
at::Tensor changed_halves(const at::Tensor& halves, const at::Tensor& change);

// bytes: n_rows rows as a GGUF file has them. Error for a type without scales to train, a row that is no
// multiple of its block, bytes of another size, or a code that is no level (Q8_0's -128).
Result<std::unique_ptr<TrainedMatrix>> unpack_trained_matrix(std::span<const std::byte> bytes,
                                                             TensorType type, int64_t n_rows,
                                                             int64_t n_columns);

}  // namespace edgellm
