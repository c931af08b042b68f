#include "compress/prune/wanda.h"

#include <fmt/format.h>

namespace edgellm {

Result<SparsityMask> prune_wanda(const at::Tensor& weights, const at::Tensor& column_squares,
                                 const SparsityPattern& pattern) {
  EDGELLM_RETURN_IF_ERROR(check_pattern(pattern, weights.size(1)));
  if (column_squares.numel() != weights.size(1))
    return Error{
        fmt::format("wanda: wanted norms of {} columns, got {}", weights.size(1), column_squares.numel())};
  at::Tensor scores = weights.abs() * column_squares.sqrt().reshape({1, -1});
  if (pattern.is_grouped()) return SparsityMask::without(lowest_of_groups(scores, pattern));
  at::Tensor order = std::get<1>(scores.sort(/*stable=*/true, /*dim=*/1, /*descending=*/false));
  at::Tensor pruned = at::zeros_like(scores, at::kBool);
  pruned.scatter_(1, order.slice(1, 0, int64_t(double(weights.size(1)) * pattern.fraction)), true);
  return SparsityMask::without(pruned);
}

Result<SparsityMask> prune_magnitude(const at::Tensor& weights, const SparsityPattern& pattern) {
  EDGELLM_RETURN_IF_ERROR(check_pattern(pattern, weights.size(1)));
  at::Tensor scores = weights.abs();
  if (pattern.is_grouped()) return SparsityMask::without(lowest_of_groups(scores, pattern));
  auto place = int64_t(double(scores.numel()) * pattern.fraction);
  at::Tensor threshold = std::get<0>(scores.flatten().kthvalue(place + 1));
  return SparsityMask::without(scores <= threshold);
}

}  // namespace edgellm
