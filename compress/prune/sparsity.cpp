#include "compress/prune/sparsity.h"

#include <fmt/format.h>

namespace edgellm {

Status check_pattern(const SparsityPattern& pattern, int64_t n_columns) {
  if (!pattern.is_grouped()) {
    if (pattern.fraction > 0 && pattern.fraction < 1) return {};
    return Error{fmt::format("prune weights: wanted a fraction between 0 and 1, got {}", pattern.fraction)};
  }
  if (pattern.n_kept < 1 || pattern.n_kept >= pattern.n_group)
    return Error{fmt::format("prune weights: wanted 1 to {} of {} weights kept, got {}", pattern.n_group - 1,
                             pattern.n_group, pattern.n_kept)};
  if (n_columns % pattern.n_group == 0) return {};
  return Error{fmt::format("prune weights: rows of {} values do not fall into groups of {}", n_columns,
                           pattern.n_group)};
}

at::Tensor lowest_of_groups(const at::Tensor& scores, const SparsityPattern& pattern) {
  at::Tensor groups = scores.reshape({-1, pattern.n_group});
  at::Tensor order = std::get<1>(groups.sort(/*stable=*/true, /*dim=*/1, /*descending=*/false));
  at::Tensor pruned = at::zeros_like(groups, at::kBool);
  pruned.scatter_(1, order.slice(1, 0, pattern.n_group - pattern.n_kept), true);
  return pruned.reshape(scores.sizes());
}

Status SparsityMask::check(const at::Tensor& weights, std::string_view tensor_name) const {
  int64_t n_wrong = (weights.ne(0) & kept_.logical_not()).sum().item<int64_t>();
  if (!n_wrong) return {};
  return Error{
      fmt::format("tensor {}: {} of {} pruned weights are not zero", tensor_name, n_wrong, n_pruned())};
}

}  // namespace edgellm
