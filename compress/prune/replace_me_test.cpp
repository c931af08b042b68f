#include "compress/prune/replace_me.h"

#include <gtest/gtest.h>

#include "compress/calibrate/golden_layer.h"

namespace edgellm {
namespace {

at::Tensor random(int64_t n_rows, int64_t n_columns, uint64_t seed) {
  return at::randn({n_rows, n_columns}, at::detail::createCPUGenerator(seed));
}

TEST(SolveCut, FindsALinearMapThatTheLeftOutLayersWere) {
  at::Tensor m = random(200, 12, 1), change = random(12, 12, 2);
  CutMoments moments(12);
  moments.add(m.slice(0, 0, 120), m.slice(0, 0, 120).mm(change));
  moments.add(m.slice(0, 120), m.slice(0, 120).mm(change));
  auto solved = solve_cut(moments, 1e-9);
  ASSERT_TRUE(solved.ok());
  EXPECT_LT((solved->transform - change - at::eye(12)).abs().max().item<double>(), 1e-4);
  EXPECT_NEAR(solved->left, 0, 1e-6);
}

TEST(SolveCut, IsTheLeastSquaresOfAllTokens) {
  at::Tensor m = random(100, 6, 3), added = random(100, 6, 4) + m.mm(random(6, 6, 5));
  CutMoments moments(6);
  moments.add(m, added);
  auto solved = solve_cut(moments, 1e-12);
  ASSERT_TRUE(solved.ok());
  at::Tensor wide = m.to(at::kDouble), target = (m + added).to(at::kDouble);
  auto error = [&](const at::Tensor& t) { return (wide.mm(t) - target).square().sum().item<double>(); };
  double best = error(solved->transform);
  EXPECT_NEAR(solved->left, best / added.to(at::kDouble).square().sum().item<double>(), 1e-5);
  for (uint64_t seed = 10; seed < 20; ++seed)
    EXPECT_GT(error(solved->transform + 0.01 * random(6, 6, seed).to(at::kDouble)), best);
}

TEST(SolveCut, WithALargeRidgeLeavesTheLayersOutPlainly) {
  at::Tensor m = random(100, 6, 6);
  CutMoments moments(6);
  moments.add(m, random(100, 6, 7));
  auto solved = solve_cut(moments, 1e9);
  ASSERT_TRUE(solved.ok());
  EXPECT_LT((solved->transform - at::eye(6)).abs().max().item<double>(), 1e-6);
}

TEST(SolveCut, RefusesWhatIsNotFiniteOrEmpty) {
  CutMoments none(4), bad(4);
  EXPECT_FALSE(solve_cut(none).ok());
  bad.add(at::full({3, 4}, NAN), at::ones({3, 4}));
  EXPECT_FALSE(solve_cut(bad).ok());
}

TEST(FoldIntoDown, GivesTheTransformedOutput) {
  at::Tensor down = random(6, 16, 8), inside = random(20, 16, 9),
             transform = random(6, 6, 10).to(at::kDouble);
  at::Tensor expected = inside.mm(down.t()).to(at::kDouble).mm(transform);
  at::Tensor folded = inside.mm(fold_into_down(down, transform).t()).to(at::kDouble);
  EXPECT_LT((folded - expected).abs().max().item<double>(), 1e-4);
}

}  // namespace
}  // namespace edgellm
