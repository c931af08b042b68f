#include "compress/calibrate/second_moments.h"

#include <algorithm>

namespace edgellm {
namespace {

// The matrix is symmetric: of each stripe of this many rows only the part from the diagonal on is computed.
// Narrower stripes would save more and multiply slower.
constexpr int64_t kStripe = 1024;

}  // namespace

SecondMoments::SecondMoments(int64_t n_columns, MomentKind kind, at::Device device) : kind_(kind) {
  at::TensorOptions options = at::TensorOptions().device(device).dtype(at::kFloat);
  squares_ =
      kind == MomentKind::full ? at::zeros({n_columns, n_columns}, options) : at::zeros({n_columns}, options);
  sums_ = at::zeros({n_columns}, options);
  absolute_sums_ = at::zeros({n_columns}, options);
}

uint64_t SecondMoments::n_bytes(int64_t n_columns, MomentKind kind) {
  uint64_t n = uint64_t(n_columns);
  return 4 * ((kind == MomentKind::full ? n * n : n) + 2 * n);
}

void SecondMoments::add(const at::Tensor& inputs) {
  at::NoGradGuard no_grad;
  at::Tensor x = inputs.to(at::kFloat);
  n_tokens_ += x.size(0);
  sums_.add_(x.sum(0));
  absolute_sums_.add_(x.abs().sum(0));
  if (kind_ == MomentKind::diagonal) {
    squares_.add_(x.square().sum(0));
    return;
  }
  int64_t n = n_columns();
  for (int64_t first = 0; first < n; first += kStripe) {
    int64_t n_rows = std::min(kStripe, n - first);
    at::Tensor rows = x.narrow(1, first, n_rows), columns = x.narrow(1, first, n - first);
    squares_.narrow(0, first, n_rows).narrow(1, first, n - first).addmm_(rows.t(), columns);
  }
  is_mirrored_ = false;
}

void SecondMoments::subtract(const SecondMoments& other) {
  TORCH_CHECK(kind_ == other.kind_ && n_columns() == other.n_columns(), "second moments of other inputs");
  at::NoGradGuard no_grad;
  squares_.sub_(other.squares_);
  (kind_ == MomentKind::full ? squares_.diagonal() : squares_).clamp_min_(0);
  is_mirrored_ = is_mirrored_ && other.is_mirrored_;
}

const at::Tensor& SecondMoments::matrix() {
  TORCH_CHECK(kind_ == MomentKind::full, "only the diagonal of the second moments was asked for");
  int64_t n = n_columns();
  for (int64_t first = 0; !is_mirrored_ && first < n; first += kStripe) {
    int64_t n_rows = std::min(kStripe, n - first), rest = n - first - n_rows;
    at::Tensor stripe = squares_.narrow(0, first, n_rows), square = stripe.narrow(1, first, n_rows);
    square.copy_(square.triu() + square.triu(1).t());
    if (rest > 0)
      squares_.narrow(0, first + n_rows, rest)
          .narrow(1, first, n_rows)
          .copy_(stripe.narrow(1, first + n_rows, rest).t());
  }
  is_mirrored_ = true;
  return squares_;
}

at::Tensor SecondMoments::column_squares() const {
  return kind_ == MomentKind::full ? squares_.diagonal().clone() : squares_.clone();
}

at::Tensor SecondMoments::column_means() const {
  return sums_ / double(std::max<int64_t>(n_tokens_, 1));
}

at::Tensor SecondMoments::column_magnitudes() const {
  return absolute_sums_ / double(std::max<int64_t>(n_tokens_, 1));
}

}  // namespace edgellm
