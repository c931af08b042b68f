#include "compress/quantize/error_factor.h"

#include <algorithm>
#include <fmt/format.h>

#include "compress/torch_model/torch_call.h"

namespace edgellm {
namespace {

// Of the mean of the diagonal: what counts at least for an input that is hardly ever there.
constexpr double kLeastShare = 1e-6;

// Factors a small symmetric positive definite matrix [n, n] in double, as ErrorFactor does, and inverts it.
void factor_run(const std::vector<double>& matrix, size_t n, float* feedback, float* importance,
                float* inverse) {
  // From the last column to the first: H = sum over k of D[k] u_k u_k^T, u_k the k-th column of I + F.
  std::vector<double> rest = matrix, unit(n * n, 0.0), diagonal(n);
  for (size_t k = n; k-- > 0;) {
    diagonal[k] = rest[k * n + k];
    for (size_t i = 0; i <= k; ++i) unit[i * n + k] = rest[i * n + k] / diagonal[k];
    for (size_t i = 0; i < k; ++i)
      for (size_t j = 0; j < k; ++j) rest[i * n + j] -= diagonal[k] * unit[i * n + k] * unit[j * n + k];
  }
  // The inverse of I + F, column by column, is upper triangular as well.
  std::vector<double> unit_inverse(n * n, 0.0);
  for (size_t k = 0; k < n; ++k) {
    unit_inverse[k * n + k] = 1;
    for (size_t i = k; i-- > 0;)
      for (size_t j = i + 1; j <= k; ++j)
        unit_inverse[i * n + k] -= unit[i * n + j] * unit_inverse[j * n + k];
  }
  for (size_t i = 0; i < n; ++i) {
    importance[i] = float(diagonal[i]);
    for (size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (size_t k = 0; k <= std::min(i, j); ++k)
        sum += unit_inverse[k * n + i] * unit_inverse[k * n + j] / diagonal[k];
      feedback[i * n + j] = float(unit[i * n + j]);
      inverse[i * n + j] = float(sum);
    }
  }
}

Result<ErrorFactor> factored(const at::Tensor& moment, double damping_ratio, DampedBy damped_by) {
  if (moment.dim() != 2 || moment.size(0) != moment.size(1) || moment.size(0) == 0)
    return Error{"factor second moments: a square matrix is wanted"};
  at::Tensor h = moment.to(at::kFloat).contiguous(), diagonal = h.diagonal();
  at::Tensor finite = at::isfinite(h).all(1);
  if (!finite.all().item<bool>())
    return Error{fmt::format("factor second moments: those of input {} are not finite numbers",
                             finite.to(at::kInt).argmin().item<int64_t>())};
  if (diagonal.min().item<float>() < 0)
    return Error{fmt::format("factor second moments: that of input {} with itself is negative",
                             diagonal.argmin().item<int64_t>())};
  const double mean = diagonal.to(at::kDouble).mean().item<double>();
  if (mean == 0) return Error{"factor second moments: all inputs are zero"};
  const at::Tensor shares =
      damped_by == DampedBy::mean ? at::full_like(diagonal, mean) : diagonal.clamp_min(kLeastShare * mean);
  // Reversed, H's lower Cholesky factor is the upper one wanted here.
  for (double ratio = damping_ratio; ratio <= 10; ratio = ratio > 0 ? 10 * ratio : 1e-4) {
    at::Tensor reversed = h.flip({0, 1});
    reversed.diagonal().add_(shares.flip({0}), ratio);
    auto [lower, failed] = at::linalg_cholesky_ex(reversed);
    reversed = at::Tensor();
    if (failed.item<int>() != 0 || !at::isfinite(lower.diagonal()).all().item<bool>()) continue;
    at::Tensor upper = lower.flip({0, 1}).contiguous();
    lower = at::Tensor();
    at::Tensor roots = upper.diagonal().clone();
    upper.div_(roots.unsqueeze(0));
    return ErrorFactor{
        h, upper, roots.square().to(at::kCPU), (ratio * shares).to(at::kCPU), ratio, ratio > damping_ratio};
  }
  return Error{"factor second moments: not positive definite, whatever the damping"};
}

}  // namespace

Result<ErrorFactor> factor_error(const at::Tensor& moment, double damping_ratio, DampedBy damped_by) {
  return torch_call("factor second moments", [&] { return factored(moment, damping_ratio, damped_by); });
}

RunFactors factor_runs(const ErrorFactor& factor, size_t n_run_columns) {
  const size_t n = n_run_columns, n_columns = factor.n_columns(), n_runs = n_columns / n;
  RunFactors found;
  found.feedback.resize(n_runs * n * n), found.importance.resize(n_runs * n),
      found.inverse.resize(n_runs * n * n);
  const at::Tensor moment = factor.moment.to(at::kCPU);
  const float* h = moment.data_ptr<float>();
  const float* damping = factor.damping.data_ptr<float>();
  std::vector<double> part(n * n);
  for (size_t run = 0; run < n_runs; ++run) {
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j)
        part[i * n + j] = double(h[(run * n + i) * n_columns + run * n + j]) +
                          (i == j ? double(damping[run * n + i]) : 0.0);
    factor_run(part, n, found.feedback.data() + run * n * n, found.importance.data() + run * n,
               found.inverse.data() + run * n * n);
  }
  return found;
}

}  // namespace edgellm
