#include "compress/prune/wanda.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <vector>

#include "compress/calibrate/golden_layer.h"

namespace edgellm {
namespace {

at::Tensor recorded_mask(const std::string& name) {
  return golden::unpack_bits(golden::load(name), 256);
}

TEST(Wanda, IsTheOfficialProgramsMask) {
  EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER();
  golden::Layer layer = golden::recorded_layer();
  at::Tensor squares = golden::load("wanda_scaler_row");
  for (auto [name, pattern] : {std::pair{"wanda_50_mask", SparsityPattern{.fraction = 0.5}},
                               std::pair{"wanda_60_mask", SparsityPattern{.fraction = 0.6}},
                               std::pair{"wanda_2to4_mask", SparsityPattern{.n_kept = 2, .n_group = 4}},
                               std::pair{"wanda_4to8_mask", SparsityPattern{.n_kept = 4, .n_group = 8}}}) {
    auto mask = prune_wanda(layer.weights, squares, pattern);
    ASSERT_TRUE(mask.ok()) << mask.error().message;
    EXPECT_TRUE(at::equal(mask->kept(), recorded_mask(name))) << name;
  }
}

TEST(Wanda, DoesNotDependOnTheNormsUnit) {
  golden::Layer layer = golden::random_layer(8, 32, 64, 1);
  at::Tensor squares = layer.second_moments().diagonal().clone();
  auto sums = prune_wanda(layer.weights, squares, {}), means = prune_wanda(layer.weights, squares / 64, {});
  EXPECT_TRUE(at::equal(sums->kept(), means->kept()));
}

TEST(Wanda, TakesFromEachRowTheWeightsOfLeastWeightedMagnitude) {
  golden::Layer layer = golden::random_layer(6, 40, 64, 2);
  at::Tensor squares = layer.second_moments().diagonal().contiguous();
  auto mask = prune_wanda(layer.weights, squares, {.fraction = 0.3});
  ASSERT_TRUE(mask.ok());
  for (int64_t row = 0; row < 6; ++row) {
    double most_pruned = 0, least_kept = 1e9;
    int64_t n_pruned = 0;
    for (int64_t column = 0; column < 40; ++column) {
      double score =
          std::abs(layer.weights[row][column].item<double>()) * std::sqrt(squares[column].item<double>());
      bool kept = mask->kept()[row][column].item<bool>();
      n_pruned += !kept;
      kept ? least_kept = std::min(least_kept, score) : most_pruned = std::max(most_pruned, score);
    }
    EXPECT_EQ(n_pruned, 12);
    EXPECT_LE(most_pruned, least_kept);
  }
}

TEST(Magnitude, IsTheOfficialProgramsMask) {
  EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER();
  at::Tensor weights = golden::load("W");
  EXPECT_TRUE(
      at::equal(prune_magnitude(weights, {.fraction = 0.5})->kept(), recorded_mask("magnitude_50_mask")));
  EXPECT_TRUE(at::equal(prune_magnitude(weights, {.n_kept = 2, .n_group = 4})->kept(),
                        recorded_mask("magnitude_2to4_mask")));
}

TEST(Magnitude, IsWandaWithEqualNorms) {
  golden::Layer layer = golden::random_layer(8, 32, 64, 3);
  SparsityPattern pattern = {.n_kept = 2, .n_group = 4};
  EXPECT_TRUE(at::equal(prune_magnitude(layer.weights, pattern)->kept(),
                        prune_wanda(layer.weights, at::ones({32}), pattern)->kept()));
}

TEST(SparsityPattern, ThatDoesNotFitIsRefused) {
  golden::Layer layer = golden::random_layer(4, 30, 8, 4);
  for (const SparsityPattern& pattern :
       {SparsityPattern{.fraction = 0}, SparsityPattern{.fraction = 1},
        SparsityPattern{.n_kept = 2, .n_group = 4}, SparsityPattern{.n_kept = 3, .n_group = 3},
        SparsityPattern{.n_kept = 0, .n_group = 3}}) {
    EXPECT_FALSE(prune_wanda(layer.weights, at::ones({30}), pattern).ok());
    EXPECT_FALSE(prune_magnitude(layer.weights, pattern).ok());
  }
  EXPECT_FALSE(prune_wanda(layer.weights, at::ones({29}), {}).ok());
}

TEST(SparsityPattern, EveryGroupKeepsAsManyAsItSays) {
  golden::Layer layer = golden::random_layer(16, 64, 8, 5);
  for (const SparsityPattern& pattern :
       {SparsityPattern{.n_kept = 2, .n_group = 4}, SparsityPattern{.n_kept = 4, .n_group = 8},
        SparsityPattern{.n_kept = 1, .n_group = 4}}) {
    at::Tensor kept = prune_magnitude(layer.weights, pattern)->kept().reshape({-1, pattern.n_group}).sum(1);
    EXPECT_TRUE((kept == pattern.n_kept).all().item<bool>());
  }
}

TEST(SparsityMask, FindsPrunedWeightsThatAreNotZero) {
  at::Tensor weights = golden::random_layer(4, 8, 8, 6).weights;
  auto mask = prune_magnitude(weights, {.n_kept = 2, .n_group = 4});
  at::Tensor pruned = mask->apply(weights);
  EXPECT_TRUE(mask->check(pruned, "x").ok());
  EXPECT_TRUE(at::equal(SparsityMask::of_nonzero(pruned).kept(), mask->kept()));
  EXPECT_EQ(mask->n_pruned(), 16);
  auto status = mask->check(weights, "blk.0.ffn_up.weight");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("blk.0.ffn_up.weight: 16 of 16"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
