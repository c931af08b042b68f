// Equal steps with an integer zero point for each group of a row's neighbours: the grid that published
// figures of AWQ and GPTQ are made on. No file has it; it is here to hold methods to their official programs.
#pragma once

#include <ATen/ATen.h>

namespace edgellm {

// weights [n_rows, n_columns] rounded to 2^n_bits steps between the least and the largest value of each
// group; n_group: values in a group, a divisor of n_columns.
at::Tensor round_to_uniform_grid(const at::Tensor& weights, int n_bits, int64_t n_group);

}  // namespace edgellm
