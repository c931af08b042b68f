#include "compress/prune/replace_me.h"

namespace edgellm {

CutMoments::CutMoments(int64_t n_embedding)
    : m_m_(at::zeros({n_embedding, n_embedding}, at::kDouble)),
      m_added_(at::zeros({n_embedding, n_embedding}, at::kDouble)) {}

void CutMoments::add(const at::Tensor& m, const at::Tensor& added) {
  // Sums over one batch are carried in float, over all in double.
  m_m_ += m.t().mm(m);
  m_added_ += m.t().mm(added);
  added_squares_ += added.to(at::kDouble).square().sum().item<double>();
  n_tokens_ += m.size(0);
}

Result<CutCorrection> solve_cut(const CutMoments& moments, double ridge) {
  if (!moments.n_tokens()) return Error{"replace-me: no calibration token"};
  at::Tensor left_side = moments.m_m().clone();
  double mean_diagonal = left_side.diagonal().mean().item<double>();
  left_side.diagonal().add_(ridge * mean_diagonal);
  auto [lower, failed] = at::linalg_cholesky_ex(left_side);
  if (failed.item<int>())
    return Error{"replace-me: the moments of the feed-forward output are not positive definite"};
  at::Tensor change = at::cholesky_solve(moments.m_added(), lower);
  if (!at::isfinite(change).all().item<bool>()) return Error{"replace-me: the moments are not finite"};
  CutCorrection result;
  result.transform = change + at::eye(change.size(0), at::kDouble);
  // |m D - added|^2 = tr(D^T M D) - 2 tr(D^T C) + |added|^2
  double explained = 2 * (change * moments.m_added()).sum().item<double>() -
                     (change * moments.m_m().mm(change)).sum().item<double>();
  double all = moments.added_squares();
  result.left = all > 0 ? 1 - explained / all : 0;
  return result;
}

at::Tensor fold_into_down(const at::Tensor& down, const at::Tensor& transform) {
  return transform.t().mm(down.to(at::kDouble)).to(at::kFloat);
}

}  // namespace edgellm
