// Random weights that look like a trained model's to everything that measures time, memory or rounding:
// heavy tails, rows and columns of different size, a few outlier channels, and activations that neither
// explode nor vanish. docs/methods.md, "Synthetic models", has the numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/arch/architecture.h"

namespace edgellm {

struct RandomModel {
  Hyperparameters hyperparameters;
  bool tied_embedding = false;
  size_t n_used_tokens = 0;  // rows of the embedding beyond these are padding, and small
  uint64_t seed = 1;
};

// The weights of one tensor. A value depends on the seed, the tensor's name, its row and its column alone, so
// that rows may be made in any order and on any thread.
class RandomTensor {
 public:
  RandomTensor(const RandomModel& model, TensorRole role, uint32_t layer, const std::string& name);

  // [n_columns] of one row; a norm or a bias has one row.
  void row(size_t row, float* values) const;

 private:
  enum class Kind { matrix, norm, bias };
  Kind kind_ = Kind::matrix;
  uint64_t key_ = 0;
  size_t n_columns_ = 0;
  std::vector<float> row_scale_, column_scale_;  // of a matrix: [n_rows], [n_columns]; of a norm the columns'
};

}  // namespace edgellm
