// The second moments of a layer's inputs as the matrix of a quadratic error, factored for feeding errors
// back.
#pragma once

#include <ATen/ATen.h>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

// H = sum over inputs x of x x^T, plus damping on its diagonal, as (I + F) D (I + F)^T with F strictly upper
// triangular and D diagonal: the error of a row's deviation e is e H e^T. D[k] is what the k-th input still
// has that the ones after it cannot make up (the k-th diagonal entry of GPTQ's Cholesky factor of the
// inverse, squared and inverted), so that no inverse is needed, which GPTQ computes (arXiv 2210.17323; LDLQ,
// arXiv 2307.13304).
struct ErrorFactor {
  at::Tensor moment;               // H as it was given, on its device: [n_columns, n_columns], float
  at::Tensor feedback;             // F, with ones on its diagonal, there too: [n_columns, n_columns], float
  at::Tensor importance;           // D: [n_columns], float, on the CPU
  at::Tensor damping;              // what was added to the diagonal: [n_columns], float, on the CPU
  double damping_ratio = 0;        // as a share of what there was
  bool is_damping_raised = false;  // beyond what was asked for: H is not positive definite otherwise

  size_t n_columns() const { return size_t(moment.size(0)); }
};

// What a share of is added to the diagonal. The official GPTQ takes its mean; where one token excites a few
// inputs a thousand times more than the others, that is far above all other entries and stops feedback
// between them.
enum class DampedBy { each_entry, mean };

// Adds damping_ratio times that, and ten times as much as often as the factorization fails. Error where H is
// not square, not finite, has a negative diagonal, or nothing helps.
Result<ErrorFactor> factor_error(const at::Tensor& moment, double damping_ratio,
                                 DampedBy damped_by = DampedBy::each_entry);

// Of every run of columns the factors and the inverse of its own part of H, as PanelCurvature wants them.
struct RunFactors {
  std::vector<float> feedback, importance, inverse;  // [n_runs, n, n], [n_runs, n], [n_runs, n, n]
};
RunFactors factor_runs(const ErrorFactor& factor, size_t n_run_columns);

}  // namespace edgellm
