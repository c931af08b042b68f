// Training one layer on its grid: nearer to what is wanted on text it was not trained on, or else as it was.
#include "compress/train/layer_training.h"

#include <gtest/gtest.h>
#include <limits>

#include "tests/compress/tiny_torch.h"

namespace edgellm {
namespace {

constexpr size_t kWindows = 24, kHeld = 4;
constexpr int64_t kTokens = 12;

class LayerTrainingTest : public testing::Test {
 protected:
  void SetUp() override {
    source_ = tiny::open({.n_layers = 1});
    ASSERT_TRUE(source_);
    h_ = read_hyperparameters(source_->metadata()).value();
    original_.emplace(TorchLayer::load(*source_, h_, 0, TorchCompute{}).value());
    positions_ = torch_positions(h_, {}, kTokens);
    at::manual_seed(3);
    inputs_ = at::randn({int64_t(kWindows), kTokens, int64_t(h_.n_embedding)});
    at::NoGradGuard no_grad;
    wanted_ = original_->forward(inputs_, positions_);
  }

  // The original with its feed-forward matrices in `type`.
  GridLayer rounded(TensorType type) {
    GridLayer grid(*original_);
    for (TensorRole role : {TensorRole::ffn_gate, TensorRole::ffn_up, TensorRole::ffn_down}) {
      const at::Tensor weights = original_->parameter(role).contiguous();
      const std::vector<float> values(weights.data_ptr<float>(), weights.data_ptr<float>() + weights.numel());
      const auto bytes = tiny::encode(values, type, size_t(weights.size(1)));
      grid.put(role, unpack_trained_matrix(bytes, type, weights.size(0), weights.size(1)).value());
      originals_[role] = weights;
    }
    return grid;
  }

  Result<LayerTrainingResult> train(GridLayer& grid, size_t n_windows = kWindows, size_t n_epochs = 3) {
    LayerText text;
    text.n_windows = n_windows;
    auto part = [](const at::Tensor& all) {
      return [all](size_t first, size_t n) -> Result<at::Tensor> {
        return all.narrow(0, int64_t(first), int64_t(n));
      };
    };
    text.inputs = part(inputs_);
    text.wanted = [&, n_reads = size_t{0}](size_t first, size_t n) mutable -> Result<at::Tensor> {
      at::Tensor wanted = wanted_.narrow(0, int64_t(first), int64_t(n));
      return n_reads++ < n_good_reads_ ? wanted : wanted * std::numeric_limits<float>::quiet_NaN();
    };
    LayerTrainingOptions options;
    options.n_held_windows = kHeld;
    options.n_epochs = n_epochs;
    return train_layer(grid, originals_, text, positions_, options);
  }

  double held_error(const GridLayer& grid) const {
    at::NoGradGuard no_grad;
    const int64_t first = int64_t(kWindows - kHeld), n = int64_t(kHeld);
    at::Tensor wanted = wanted_.narrow(0, first, n), input = inputs_.narrow(0, first, n),
               got = grid.computed().forward(input, positions_);
    return ((got - wanted).square().sum(-1) / (wanted - input).square().sum(-1)).mean().item<double>();
  }

  static std::vector<std::vector<uint8_t>> bytes_of(const GridLayer& grid) {
    std::vector<std::vector<uint8_t>> all;
    for (const auto& [role, matrix] : grid.matrices()) all.push_back(matrix->pack());
    return all;
  }

  std::shared_ptr<const GgufFile> source_;
  Hyperparameters h_;
  std::optional<TorchLayer> original_;
  TorchPositions positions_;
  at::Tensor inputs_, wanted_;
  size_t n_good_reads_ = SIZE_MAX;  // of what is wanted; from then on it is no number
  std::map<TensorRole, at::Tensor> originals_;
};

TEST_F(LayerTrainingTest, IsNearerOnTextItWasNotTrainedOn) {
  for (TensorType type : {TensorType::Q4_0, TensorType::Q5_1, TensorType::IQ4_NL}) {
    SCOPED_TRACE(to_string(type));
    GridLayer grid = rounded(type);
    const auto before = bytes_of(grid);
    const double error = held_error(grid);
    auto done = train(grid);
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_NEAR(done->held_before, error, 1e-6 * error);
    EXPECT_GT(done->best_epoch, 0u);
    EXPECT_LT(done->held_after, error);
    EXPECT_NEAR(done->held_after, held_error(grid), 1e-5 * error);
    EXPECT_NE(bytes_of(grid), before);
  }
}

TEST_F(LayerTrainingTest, InFewEpochsMovesScalesAlone) {
  const size_t n_block_bytes = info(TensorType::Q4_0).n_bytes_per_block;
  for (size_t n_epochs : {kLevelEpochs - 1, kLevelEpochs}) {
    GridLayer grid = rounded(TensorType::Q4_0);
    const auto before = bytes_of(grid);
    auto done = train(grid, kWindows, n_epochs);
    ASSERT_TRUE(done.ok()) << done.error().message;
    ASSERT_GT(done->best_epoch, 0u);
    const auto after = bytes_of(grid);
    size_t n_scales = 0, n_levels = 0;
    for (size_t matrix = 0; matrix < after.size(); ++matrix)
      for (size_t i = 0; i < after[matrix].size(); ++i)
        (i % n_block_bytes < sizeof(uint16_t) ? n_scales : n_levels) += after[matrix][i] != before[matrix][i];
    EXPECT_GT(n_scales, 0u);
    EXPECT_EQ(n_levels > 0, n_epochs >= kLevelEpochs);
  }
}

TEST_F(LayerTrainingTest, ALossThatIsNoNumberLeavesTheLayerAsItWas) {
  wanted_[3][2][1] = std::numeric_limits<float>::quiet_NaN();
  GridLayer grid = rounded(TensorType::Q4_0);
  const auto before = bytes_of(grid);
  auto done = train(grid);
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_NE(done->stopped.find("the loss was no number in epoch 1, step "), std::string::npos)
      << done->stopped;
  EXPECT_EQ(done->best_epoch, 0u);
  EXPECT_EQ(done->held_after, done->held_before);
  EXPECT_EQ(bytes_of(grid), before);
}

TEST_F(LayerTrainingTest, ALossThatIsNoNumberInTheSecondEpochLeavesWhatTheFirstOneGave) {
  constexpr size_t kSteps = (kWindows - kHeld) / 2;
  for (const auto& [n_good_steps, stopped] :
       {std::pair{2 * kHeld + kSteps + 2, "the loss was no number in epoch 2, step 3 of 10"},
        {2 * kHeld + 2 * kSteps, "the loss on text held back was no number after 2 of 3 epochs"}}) {
    n_good_reads_ = n_good_steps;
    GridLayer grid = rounded(TensorType::Q4_0);
    const auto before = bytes_of(grid);
    auto done = train(grid);
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_EQ(done->stopped, stopped);
    EXPECT_EQ(done->best_epoch, 1u);
    EXPECT_LT(done->held_after, done->held_before);
    EXPECT_NEAR(done->held_after, held_error(grid), 1e-5 * done->held_after);
    EXPECT_NE(bytes_of(grid), before);
  }
}

TEST_F(LayerTrainingTest, WithoutTextToTrainOnIsAnError) {
  GridLayer grid = rounded(TensorType::Q4_0);
  auto done = train(grid, kHeld + 1);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().message, "training wants at least 6 windows of text, got 5");
}

}  // namespace
}  // namespace edgellm
