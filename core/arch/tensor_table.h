// What every graph of a decoder checks before it is built: numbers that no graph can be built from, and the
// tensors of a file against those numbers.
#pragma once

#include <span>
#include <string_view>

#include "core/arch/architecture.h"
#include "core/base/result.h"

namespace edgellm {

// Zero widths, heads that do not divide, a norm that no graph has, as an Error.
Status check_hyperparameters(const Hyperparameters& hyperparameters);

struct TensorShape {
  std::string_view name;
  uint64_t n_rows, n_columns;
};
// Errors name the tensor that is missing, unknown or of another shape than the hyperparameters say, which
// check_hyperparameters has found good. A layer without heads or without a feed-forward part lacks those
// tensors by right.
Status check_tensor_table(const Hyperparameters& hyperparameters, std::span<const TensorShape> tensors);

}  // namespace edgellm
