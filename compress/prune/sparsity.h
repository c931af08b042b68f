// Which weights of a matrix stay: patterns, and masks that later steps must respect.
#pragma once

#include <ATen/ATen.h>
#include <string_view>

#include "core/base/result.h"

namespace edgellm {

// How many weights go: a fraction of all, or of every n_group neighbours of a row all but n_kept (2:4, 4:8),
// which hardware with sparse products asks for.
struct SparsityPattern {
  double fraction = 0.5;
  int64_t n_kept = 0, n_group = 0;  // n_group 0: unstructured
  bool is_grouped() const { return n_group > 0; }
};
// Error when the fraction is not inside (0, 1), or rows of n_columns do not fall into whole groups.
Status check_pattern(const SparsityPattern& pattern, int64_t n_columns);

// scores [n_rows, n_columns] -> pruned [n_rows, n_columns], bool: in every group those of the lowest scores;
// of equal ones the first.
at::Tensor lowest_of_groups(const at::Tensor& scores, const SparsityPattern& pattern);

// The weights of one matrix that stay. A pruned weight is exactly zero in every file that is written later;
// the zeros of a file in a float type are its mask (of_nonzero), so that a mask needs no file of its own.
class SparsityMask {
 public:
  explicit SparsityMask(at::Tensor kept) : kept_(std::move(kept)) {}
  static SparsityMask of_nonzero(const at::Tensor& weights) { return SparsityMask(weights != 0); }
  static SparsityMask without(const at::Tensor& pruned) { return SparsityMask(pruned.logical_not()); }

  const at::Tensor& kept() const { return kept_; }  // [n_rows, n_columns], bool
  int64_t n_pruned() const { return kept_.numel() - kept_.sum().item<int64_t>(); }
  // The weights, with zero where they are pruned.
  at::Tensor apply(const at::Tensor& weights) const { return weights.masked_fill(kept_.logical_not(), 0); }
  // Error when weights that are pruned are not exactly zero: says how many of which tensor.
  Status check(const at::Tensor& weights, std::string_view tensor_name) const;

 private:
  at::Tensor kept_;
};

}  // namespace edgellm
