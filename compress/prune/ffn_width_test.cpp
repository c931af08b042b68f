#include "compress/prune/ffn_width.h"

#include <gtest/gtest.h>

#include "compress/calibrate/golden_layer.h"

namespace edgellm {
namespace {

TEST(FfnChannelScores, AreWhatEachChannelAddsToTheOutput) {
  golden::Layer layer = golden::random_layer(12, 24, 200, 1);
  at::Tensor scores = ffn_channel_scores(layer.weights, layer.inputs.square().mean(0));
  for (int64_t channel = 0; channel < 24; ++channel) {
    at::Tensor added =
        layer.inputs.slice(1, channel, channel + 1).mm(layer.weights.slice(1, channel, channel + 1).t());
    double mean_square = added.square().sum().item<double>() / 200;
    EXPECT_NEAR(scores[channel].item<double>(), std::sqrt(mean_square), 1e-4 * std::sqrt(mean_square));
  }
}

TEST(PrunedFfnWidth, IsTheNearestMultipleThatTakesSomeAway) {
  EXPECT_EQ(*pruned_ffn_width(8960, 0.25, 256), 6656);
  EXPECT_EQ(*pruned_ffn_width(1536, 0.3, 32), 1088);
  EXPECT_EQ(*pruned_ffn_width(1000, 0.99, 32), 32);
  EXPECT_FALSE(pruned_ffn_width(256, 0.25, 256).ok());
}

TEST(KeptFfnChannels, AreThoseOfTheHighestScoresInOrder) {
  at::Tensor kept = kept_ffn_channels(at::tensor({3.0f, 9.0f, 1.0f, 7.0f, 8.0f}), 3);
  EXPECT_TRUE(at::equal(kept, at::tensor({1, 3, 4}, at::kLong)));
}

TEST(NarrowedDown, IsTheLeastSquaresOfTheOutput) {
  golden::Layer layer = golden::random_layer(10, 32, 400, 2);
  at::Tensor kept = at::arange(0, 32, 2, at::kLong), inputs = layer.inputs.index_select(1, kept);
  auto narrow = narrowed_down(layer.weights, kept, layer.second_moments(), 0);
  ASSERT_TRUE(narrow.ok());
  at::Tensor outputs = layer.inputs.mm(layer.weights.t());
  auto error = [&](const at::Tensor& down) {
    return (inputs.mm(down.t()) - outputs).to(at::kDouble).square().sum().item<double>();
  };
  double best = error(*narrow);
  EXPECT_LT(best, 0.5 * error(layer.weights.index_select(1, kept)));
  for (uint64_t seed = 0; seed < 10; ++seed)
    EXPECT_GT(error(*narrow + 0.01 * at::randn({10, 16}, at::detail::createCPUGenerator(seed))), best);
}

TEST(NarrowedDown, WithoutMomentsIsThePlainColumns) {
  golden::Layer layer = golden::random_layer(4, 8, 16, 3);
  at::Tensor kept = at::tensor({0, 5, 7}, at::kLong);
  EXPECT_TRUE(at::equal(*narrowed_down(layer.weights, kept, {}), layer.weights.index_select(1, kept)));
}

TEST(NarrowedDown, IsThePlainColumnsWhereTheOthersHadNoInput) {
  golden::Layer layer = golden::random_layer(4, 8, 64, 4);
  at::Tensor kept = at::arange(0, 4, at::kLong);
  layer.inputs.slice(1, 4).zero_();
  auto narrow = narrowed_down(layer.weights, kept, layer.second_moments());
  EXPECT_LT((*narrow - layer.weights.slice(1, 0, 4)).abs().max().item<double>(), 1e-6);
}

TEST(NarrowedDown, RefusesMomentsThatAreNotFinite) {
  golden::Layer layer = golden::random_layer(4, 8, 64, 5);
  EXPECT_FALSE(narrowed_down(layer.weights, at::arange(0, 4, at::kLong), at::full({8, 8}, NAN)).ok());
}

}  // namespace
}  // namespace edgellm
