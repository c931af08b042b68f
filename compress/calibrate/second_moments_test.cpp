#include "compress/calibrate/second_moments.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace edgellm {
namespace {

at::Tensor inputs(int64_t n_tokens, int64_t n_columns) {
  at::manual_seed(5);
  return at::randn({n_tokens, n_columns}) + at::linspace(-1, 1, n_columns);
}

double worst(const at::Tensor& got, const at::Tensor& wanted) {
  return (got.to(at::kDouble) - wanted).abs().max().item<double>() / wanted.abs().max().item<double>();
}

TEST(SecondMoments, EqualTheProductInDoublePrecision) {
  // Below, at and above the stripe of rows computed together.
  for (int64_t n_columns : {7, 1024, 1500, 2600}) {
    at::Tensor x = inputs(30, n_columns), exact = x.to(at::kDouble);
    SecondMoments moments(n_columns, MomentKind::full);
    moments.add(x.narrow(0, 0, 11));
    moments.add(x.narrow(0, 11, 19));
    EXPECT_EQ(moments.n_tokens(), 30);
    EXPECT_LE(worst(moments.matrix(), exact.t().matmul(exact)), 1e-6) << n_columns;
    EXPECT_TRUE(moments.matrix().equal(moments.matrix().t().contiguous())) << n_columns;
    EXPECT_LE(worst(moments.column_squares(), exact.square().sum(0)), 1e-6);
    EXPECT_LE(worst(moments.column_norms(), exact.norm(2, 0)), 1e-6);
    EXPECT_LE(worst(moments.column_means(), exact.mean(0)), 1e-6);
    EXPECT_LE(worst(moments.column_magnitudes(), exact.abs().mean(0)), 1e-6);
  }
}

TEST(SecondMoments, GoOnAfterTheMatrixWasRead) {
  at::Tensor x = inputs(20, 1300);
  SecondMoments moments(1300, MomentKind::full);
  moments.add(x.narrow(0, 0, 10));
  moments.matrix();
  moments.add(x.narrow(0, 10, 10));
  at::Tensor exact = x.to(at::kDouble);
  EXPECT_LE(worst(moments.matrix(), exact.t().matmul(exact)), 1e-6);
}

TEST(SecondMoments, WithoutAPartAreThoseOfTheRest) {
  for (MomentKind kind : {MomentKind::full, MomentKind::diagonal}) {
    at::Tensor x = inputs(20, 1100), rest = x.narrow(0, 8, 12).to(at::kDouble);
    SecondMoments all(1100, kind), part(1100, kind);
    all.add(x);
    part.add(x.narrow(0, 0, 8));
    if (kind == MomentKind::full) all.matrix();
    all.subtract(part);
    EXPECT_LE(worst(all.column_squares(), rest.square().sum(0)), 1e-5);
    if (kind == MomentKind::full) {
      EXPECT_LE(worst(all.matrix(), rest.t().matmul(rest)), 1e-5);
    }
    all.subtract(all);
    EXPECT_EQ(all.column_squares().abs().max().item<float>(), 0.0f);
  }
}

TEST(SecondMoments, TheDiagonalAloneTakesOneRow) {
  at::Tensor x = inputs(20, 50), exact = x.to(at::kDouble);
  SecondMoments moments(50, MomentKind::diagonal);
  moments.add(x);
  EXPECT_LE(worst(moments.column_squares(), exact.square().sum(0)), 1e-6);
  EXPECT_THROW(moments.matrix(), c10::Error);
  EXPECT_EQ(SecondMoments::n_bytes(50, MomentKind::diagonal), 600u);
  EXPECT_EQ(SecondMoments::n_bytes(50, MomentKind::full), 10400u);
}

}  // namespace
}  // namespace edgellm
