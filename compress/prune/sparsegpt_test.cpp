#include "compress/prune/sparsegpt.h"

#include <gtest/gtest.h>

#include "compress/calibrate/golden_layer.h"
#include "compress/prune/wanda.h"

namespace edgellm {
namespace {

constexpr SparsityPattern kTwoOfFour = {.n_kept = 2, .n_group = 4};

TEST(SparseGpt, GivesTheOfficialProgramsWeights) {
  EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER();
  at::Tensor weights = golden::load("W"), hessian = golden::load("gptq_H");
  struct Case {
    const char* name;
    SparsityPattern pattern;
    double loss;  // reported by the official program
    int64_t n_zeros;
  };
  for (const Case& c : {Case{"sparsegpt_50", {.fraction = 0.5}, 950.6844482421875, 16386},
                        Case{"sparsegpt_75", {.fraction = 0.75}, 5577.720703125, 24578},
                        Case{"sparsegpt_2to4", kTwoOfFour, 2288.334716796875, 16384},
                        Case{"sparsegpt_4to8", {.n_kept = 4, .n_group = 8}, 1523.7208251953125, 16384}}) {
    auto result = prune_sparsegpt(weights, hessian, {.pattern = c.pattern});
    ASSERT_TRUE(result.ok()) << result.error().message;
    at::Tensor recorded = golden::load(c.name);
    EXPECT_TRUE(at::equal(result->weights != 0, recorded != 0)) << c.name;
    EXPECT_LT((result->weights - recorded).abs().max().item<double>(), 2e-5) << c.name;
    EXPECT_NEAR(result->loss, c.loss, 1e-4 * c.loss) << c.name;
    EXPECT_EQ((result->weights == 0).sum().item<int64_t>(), c.n_zeros) << c.name;
    EXPECT_EQ(result->damping, 0.01);
  }
}

// Four bits for each row, its range cut into equal steps with an integer zero.
struct RowGrid {
  at::Tensor step, zero;
  explicit RowGrid(const at::Tensor& weights) {
    at::Tensor least = weights.amin(1).clamp_max(0), most = weights.amax(1).clamp_min(0);
    step = (most - least) / 15;
    zero = (-least / step).round();
  }
  at::Tensor operator()(const at::Tensor& column, int64_t) const {
    return step * (((column / step).round() + zero).clamp(0, 15) - zero);
  }
};

TEST(SparseGpt, RoundsInTheSamePassAsTheOfficialProgram) {
  EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER();
  at::Tensor weights = golden::load("W");
  auto result = prune_sparsegpt(weights, golden::load("gptq_H"), {.pattern = {}, .round = RowGrid(weights)});
  ASSERT_TRUE(result.ok());
  at::Tensor recorded = golden::load("sparsegpt_50_w4");
  EXPECT_LT(((result->weights - recorded).abs() > 1e-5).sum().item<int64_t>(), 4);
  EXPECT_NEAR(result->loss, 2549.36474609375, 0.5);
}

TEST(SparseGpt, LeavesLessErrorThanWandaAndMagnitude) {
  golden::Layer layer = golden::random_layer(32, 64, 512, 7);
  at::Tensor moments = layer.second_moments();
  for (const SparsityPattern& pattern : {SparsityPattern{.fraction = 0.5}, kTwoOfFour}) {
    auto result = prune_sparsegpt(layer.weights, moments, {.pattern = pattern, .n_block_columns = 16});
    ASSERT_TRUE(result.ok());
    double error = layer.output_error(result->weights);
    double of_wanda =
        layer.output_error(prune_wanda(layer.weights, moments.diagonal(), pattern)->apply(layer.weights));
    double of_magnitude = layer.output_error(prune_magnitude(layer.weights, pattern)->apply(layer.weights));
    EXPECT_LT(error, of_wanda);
    EXPECT_LT(of_wanda, of_magnitude);
  }
}

// The best weights for a mask, row by row from the normal equations: nothing can leave less error.
double least_error(const golden::Layer& layer, const at::Tensor& kept) {
  at::Tensor best = at::zeros_like(layer.weights, at::kDouble);
  at::Tensor inputs = layer.inputs.to(at::kDouble);
  at::Tensor outputs = inputs.mm(layer.weights.to(at::kDouble).t());
  for (int64_t row = 0; row < kept.size(0); ++row) {
    at::Tensor columns = kept[row].nonzero().flatten();
    at::Tensor x = inputs.index_select(1, columns);
    at::Tensor moments = x.t().mm(x);
    at::Tensor solved =
        at::cholesky_solve(x.t().mm(outputs.slice(1, row, row + 1)), at::linalg_cholesky(moments));
    best[row].index_put_({columns}, solved.flatten());
  }
  return (inputs.mm(best.t()) - outputs).square().sum().item<double>();
}

TEST(SparseGpt, IsBetweenTheBestWeightsForItsMaskAndPlainZeros) {
  golden::Layer layer = golden::random_layer(16, 48, 512, 8);
  auto result =
      prune_sparsegpt(layer.weights, layer.second_moments(), {.pattern = kTwoOfFour, .n_block_columns = 16});
  ASSERT_TRUE(result.ok());
  at::Tensor kept = result->weights != 0;
  double error = layer.output_error(result->weights), best = least_error(layer, kept);
  EXPECT_GT(error, 0.999 * best);
  EXPECT_LT(error, 3 * best);
  EXPECT_LT(error, 0.7 * layer.output_error(layer.weights * kept));
}

TEST(SparseGpt, DoesNotDependOnTheHessiansUnit) {
  golden::Layer layer = golden::random_layer(8, 32, 256, 9);
  auto a = prune_sparsegpt(layer.weights, layer.second_moments(), {});
  auto b = prune_sparsegpt(layer.weights, layer.second_moments() * 0.125, {});
  EXPECT_LT((a->weights - b->weights).abs().max().item<double>(), 1e-5);
}

TEST(SparseGpt, ColumnsWithoutInputBecomeZero) {
  golden::Layer layer = golden::random_layer(8, 32, 256, 10);
  layer.inputs.slice(1, 5, 6).zero_();
  auto result = prune_sparsegpt(layer.weights, layer.second_moments(), {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->weights.slice(1, 5, 6).abs().max().item<float>(), 0);
}

TEST(SparseGpt, DampsAHessianOfTooFewTokensUntilItIsPositiveDefinite) {
  golden::Layer layer = golden::random_layer(8, 64, 4, 11);
  auto result = prune_sparsegpt(layer.weights, layer.second_moments(), {.damping = 0});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_GT(result->damping, 0);
  EXPECT_TRUE(at::isfinite(result->weights).all().item<bool>());
}

TEST(SparseGpt, RefusesWhatDoesNotFit) {
  golden::Layer layer = golden::random_layer(8, 32, 64, 12);
  EXPECT_FALSE(prune_sparsegpt(layer.weights, at::eye(16), {}).ok());
  EXPECT_FALSE(
      prune_sparsegpt(layer.weights, layer.second_moments(), {.pattern = kTwoOfFour, .n_block_columns = 6})
          .ok());
  EXPECT_FALSE(prune_sparsegpt(layer.weights, at::full({32, 32}, NAN), {}).ok());
}

}  // namespace
}  // namespace edgellm
