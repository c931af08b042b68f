#include "compress/prune/ffn_width.h"

#include <cmath>
#include <fmt/format.h>

namespace edgellm {

at::Tensor ffn_channel_scores(const at::Tensor& down, const at::Tensor& squares) {
  return (down.square().sum(0) * squares).sqrt();
}

Result<int64_t> pruned_ffn_width(int64_t n_feed_forward, double fraction, int64_t multiple) {
  double wanted = double(n_feed_forward) * (1 - fraction);
  auto n_kept = std::max<int64_t>(1, std::lround(wanted / double(multiple))) * multiple;
  if (n_kept < n_feed_forward) return n_kept;
  return Error{fmt::format("ffn-width: a fraction of {} of {} channels, in multiples of {}, takes none away",
                           fraction, n_feed_forward, multiple)};
}

at::Tensor kept_ffn_channels(const at::Tensor& scores, int64_t n_kept) {
  at::Tensor order = std::get<1>(scores.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true));
  return std::get<0>(order.slice(0, 0, n_kept).sort());
}

Result<at::Tensor> narrowed_down(const at::Tensor& down, const at::Tensor& kept,
                                 const at::Tensor& second_moments, double damping) {
  at::Tensor plain = down.index_select(1, kept);
  if (!second_moments.defined()) return plain;
  at::Tensor is_pruned = at::ones({down.size(1)}, at::kBool);
  is_pruned.index_fill_(0, kept, false);
  at::Tensor pruned = is_pruned.nonzero().flatten();
  if (!pruned.numel()) return plain;
  at::Tensor of_kept = second_moments.index_select(0, kept);
  at::Tensor kept_kept = of_kept.index_select(1, kept).to(at::kDouble);
  kept_kept.diagonal().add_(damping * kept_kept.diagonal().mean().item<double>());
  auto [lower, failed] = at::linalg_cholesky_ex(kept_kept);
  if (failed.item<int>())
    return Error{"ffn-width: the second moments of the kept channels are not positive definite"};
  // (W_P H_PK)^T, so that one solve gives the change of every output.
  at::Tensor lost =
      of_kept.index_select(1, pruned).to(at::kDouble).mm(down.index_select(1, pruned).t().to(at::kDouble));
  at::Tensor change = at::cholesky_solve(lost, lower).t();
  if (!at::isfinite(change).all().item<bool>()) return Error{"ffn-width: the second moments are not finite"};
  return (plain.to(at::kDouble) + change).to(down.scalar_type());
}

}  // namespace edgellm
