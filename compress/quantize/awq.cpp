#include "compress/quantize/awq.h"

#include <cmath>
#include <fmt/format.h>
#include <limits>

namespace edgellm {
namespace {

constexpr int kClipSteps = 20;      // the clip goes down in twentieths
constexpr int kMostClipSteps = 10;  // to half of what there was
constexpr double kLeastScale = 1e-4;

at::Tensor scales_of(const at::Tensor& mean_magnitude, double ratio) {
  at::Tensor scales = mean_magnitude.pow(ratio).clamp_min(kLeastScale);
  // Inputs that are always zero would bring all others far from one.
  const at::Tensor is_used = mean_magnitude > 0, used = scales.masked_select(is_used);
  if (used.numel() == 0) return at::ones_like(scales);
  return at::where(is_used, scales / (used.max() * used.min()).sqrt(), at::ones_like(scales));
}

// Sum over tokens and outputs of the squared output error that `difference` makes.
double output_error(const at::Tensor& difference, const at::Tensor& second_moments) {
  at::Tensor d = difference.to(second_moments.scalar_type());
  return (d.mm(second_moments) * d).sum().item<double>();
}

}  // namespace

Result<AwqScales> search_awq_scales(std::span<const AwqMatrix> matrices, const AwqInput& input, int n_steps) {
  int64_t n_columns = input.mean_magnitude.numel(), n_outputs = 0;
  for (const auto& [weights, round] : matrices) {
    if (weights.size(1) != n_columns || input.second_moments.size(0) != n_columns)
      return Error{
          fmt::format("awq: weights of {} columns, but statistics of {} inputs", weights.size(1), n_columns)};
    n_outputs += weights.size(0);
  }
  AwqScales best;
  best.error = std::numeric_limits<double>::infinity();
  for (int step = 0; step < n_steps; ++step) {
    double ratio = double(step) / n_steps, error = 0;
    at::Tensor scales = scales_of(input.mean_magnitude, ratio);
    for (const auto& [weights, round] : matrices)
      error += output_error(round(scale_columns(weights, scales)) / scales - weights, input.second_moments);
    error /= input.n_tokens * double(n_outputs);
    best.errors.push_back(error);
    if (!(error < best.error)) continue;
    best.scales = scales;
    best.ratio = ratio;
    best.error = error;
  }
  if (!best.scales.defined()) return Error{"awq: the output error is not finite with any scale"};
  return best;
}

at::Tensor search_awq_clip(const at::Tensor& weights, const at::Tensor& second_moments, int64_t n_group,
                           const RoundMatrix& round) {
  int64_t n_rows = weights.size(0), n_groups = weights.size(1) / n_group;
  // The blocks of the moments that lie on the diagonal: [n_groups, n_group, n_group].
  at::Tensor blocks = second_moments.reshape({n_groups, n_group, n_groups, n_group})
                          .diagonal(0, 0, 2)
                          .permute({2, 0, 1})
                          .contiguous();
  at::Tensor largest = weights.reshape({n_rows, n_groups, n_group}).abs().amax(2);
  at::Tensor best = largest.clone(), least = at::full_like(largest, std::numeric_limits<double>::infinity());
  for (int step = 0; step < kMostClipSteps; ++step) {
    at::Tensor limits = largest * (1 - double(step) / kClipSteps);
    at::Tensor difference = (round(clip_groups(weights, limits)) - weights)
                                .reshape({n_rows, n_groups, n_group})
                                .transpose(0, 1)
                                .to(blocks.scalar_type());
    at::Tensor error = (difference.bmm(blocks) * difference).sum(2).t().to(least.scalar_type());
    at::Tensor better = error < least;
    least = at::where(better, error, least);
    best = at::where(better, limits, best);
  }
  return best;
}

at::Tensor clip_groups(const at::Tensor& weights, const at::Tensor& limits) {
  at::Tensor groups = weights.reshape({limits.size(0), limits.size(1), -1}), most = limits.unsqueeze(2);
  return at::minimum(at::maximum(groups, -most), most).reshape(weights.sizes());
}

at::Tensor scale_columns(const at::Tensor& weights, const at::Tensor& scales) {
  return weights * scales.reshape({1, -1});
}

at::Tensor scale_moments(const at::Tensor& second_moments, const at::Tensor& scales) {
  return second_moments / (scales.reshape({1, -1}) * scales.reshape({-1, 1}));
}

at::Tensor divide_outputs(const at::Tensor& previous, const at::Tensor& scales) {
  return previous.dim() == 1 ? previous / scales : previous / scales.reshape({-1, 1});
}

}  // namespace edgellm
