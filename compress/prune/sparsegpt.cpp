#include "compress/prune/sparsegpt.h"

#include <algorithm>
#include <fmt/format.h>

namespace edgellm {
namespace {

struct InverseFactor {
  at::Tensor upper;  // U with U^T U = inverse of the damped Hessian
  double damping = 0;
};

// Raises the damping tenfold while the Hessian is not positive definite in float.
Result<InverseFactor> factor_inverse(const at::Tensor& hessian, double damping) {
  double mean_diagonal = hessian.diagonal().mean().item<double>();
  for (double share = damping; share <= 1; share = std::max(share * 10, 1e-4)) {
    at::Tensor damped = hessian.clone();
    damped.diagonal().add_(share * mean_diagonal);
    auto [lower, failed] = at::linalg_cholesky_ex(damped);
    if (failed.item<int>()) continue;
    auto [upper, failed_again] = at::linalg_cholesky_ex(at::cholesky_inverse(lower), /*upper=*/true);
    if (failed_again.item<int>() || !at::isfinite(upper).all().item<bool>()) continue;
    return InverseFactor{upper, share};
  }
  return Error{"sparsegpt: the Hessian is not positive definite, however much it is damped"};
}

// One block of columns, each lying as a row: w [n_columns of the block, n_rows]. Gives back its errors over
// the factor's diagonal, [n_columns, n_rows], for the columns that follow.
class Block {
 public:
  Block(const at::Tensor& factor, const SparseGptOptions& options, int64_t first)
      : factor_(factor), options_(options), first_(first), diagonal_(factor.diagonal().reshape({-1, 1})) {}

  at::Tensor prune(at::Tensor w) {
    int64_t n = w.size(0), n_group = options_.pattern.n_group;
    at::Tensor errors = at::empty_like(w);
    at::Tensor pruned;
    if (!options_.pattern.is_grouped()) pruned = below_threshold(w);
    for (int64_t i = 0; i < n; ++i) {
      int64_t in_group = n_group ? i % n_group : 0;
      if (n_group && in_group == 0) pruned = lowest_of_group(w, i, n_group);
      at::Tensor column = w[i];
      at::Tensor kept = column.masked_fill(pruned[n_group ? in_group : i], 0);
      if (options_.round) kept = options_.round(kept, first_ + i);
      at::Tensor error = (column - kept) / diagonal_[i];
      loss_ += error.square().sum().item<double>();
      errors[i].copy_(error);
      column.copy_(kept);
      if (i + 1 < n) w.slice(0, i + 1).addr_(factor_[i].slice(0, i + 1), error, 1, -1);
    }
    return errors;
  }
  double loss() const { return loss_; }

 private:
  at::Tensor below_threshold(const at::Tensor& w) const {
    at::Tensor scores = w.square() / diagonal_.square();
    auto place = int64_t(double(scores.numel()) * options_.pattern.fraction);
    return scores <= std::get<0>(scores.flatten().kthvalue(place + 1));
  }
  at::Tensor lowest_of_group(const at::Tensor& w, int64_t first, int64_t n_group) const {
    at::Tensor scores =
        w.slice(0, first, first + n_group).square() / diagonal_.slice(0, first, first + n_group).square();
    return lowest_of_groups(scores.t().contiguous(), options_.pattern).t();
  }

  at::Tensor factor_;
  const SparseGptOptions& options_;
  int64_t first_;
  at::Tensor diagonal_;  // [n_columns, 1]
  double loss_ = 0;
};

}  // namespace

Result<SparseGptResult> prune_sparsegpt(const at::Tensor& weights, const at::Tensor& hessian,
                                        const SparseGptOptions& options) {
  int64_t n_columns = weights.size(1), n_block = options.n_block_columns;
  EDGELLM_RETURN_IF_ERROR(check_pattern(options.pattern, n_columns));
  if (options.pattern.is_grouped() && n_block % options.pattern.n_group)
    return Error{fmt::format("sparsegpt: blocks of {} columns do not fall into groups of {}", n_block,
                             options.pattern.n_group)};
  if (hessian.size(0) != n_columns || hessian.size(1) != n_columns)
    return Error{fmt::format("sparsegpt: wanted a Hessian of {} columns, got {} by {}", n_columns,
                             hessian.size(0), hessian.size(1))};
  at::Tensor dead = hessian.diagonal() == 0;
  EDGELLM_ASSIGN_OR_RETURN(
      InverseFactor inverse,
      factor_inverse(hessian + at::diag(dead.to(hessian.scalar_type())), options.damping));
  at::Tensor columns = weights.masked_fill(dead.reshape({1, -1}), 0).t().contiguous();
  SparseGptResult result;
  result.damping = inverse.damping;
  for (int64_t first = 0; first < n_columns; first += n_block) {
    int64_t end = std::min(first + n_block, n_columns);
    at::Tensor rows_of_factor = inverse.upper.slice(0, first, end);
    Block block(rows_of_factor.slice(1, first, end), options, first);
    at::Tensor errors = block.prune(columns.slice(0, first, end));
    result.loss += block.loss() / 2;
    if (end < n_columns) columns.slice(0, end).addmm_(rows_of_factor.slice(1, end).t(), errors, 1, -1);
  }
  result.weights = columns.t().contiguous();
  return result;
}

}  // namespace edgellm
