// End-to-end training where something becomes no number: it stops, says where, and keeps the best epoch
// before.
#include "compress/train/end_training.h"

#include <gtest/gtest.h>
#include <limits>

#include "core/base/temporary_folder.h"
#include "tests/compress/tiny_torch.h"

namespace edgellm {
namespace {

using tiny::kLlama, tiny::value_of;

constexpr size_t kWindows = 24, kHeld = 4, kTokens = 12, kEpochs = 2, kSteps = (kWindows - kHeld) / 2;
constexpr uint32_t kBrokenLayer = 1;

// A matrix whose weights are numbers, but not their gradient.
class BrokenGradient : public TrainedMatrix {
 public:
  explicit BrokenGradient(std::unique_ptr<TrainedMatrix> whole) : whole_(std::move(whole)) {}

  TensorType type() const override { return whole_->type(); }
  void move_to(at::Device device) override { whole_->move_to(device); }
  // The root of zero has an endless slope.
  at::Tensor weights() const override { return whole_->weights() + (changes_[0].sum() * 0).sqrt(); }
  std::vector<uint8_t> pack() const override { return whole_->pack(); }
  std::vector<at::Tensor> block_parameters() const override { return whole_->block_parameters(); }
  void use_block_changes(std::span<const at::Tensor> changes) override {
    changes_.assign(changes.begin(), changes.end());
    whole_->use_block_changes(changes);
  }
  Rounding train_rounding(const at::Tensor& wanted, bool keeps_zeros) override {
    return whole_->train_rounding(wanted, keeps_zeros);
  }

 private:
  std::unique_ptr<TrainedMatrix> whole_;
  std::vector<at::Tensor> changes_;
};

class EndTrainingTest : public testing::Test {
 protected:
  void SetUp() override {
    source_ = tiny::open(kLlama);
    ASSERT_TRUE(source_);
    model_ = value_of(TorchModel::open(source_, {}));
    windows_ = tiny::random_windows(kWindows, kTokens, kLlama.n_vocabulary);
    at::NoGradGuard no_grad;
    auto original = tiny::load_torch(source_);
    for (size_t window = 0; window < kWindows; ++window)
      teacher_.put(int64_t(window), 0,
                   original->head().logits(original->forward(
                       value_of(model_->embed(std::span(windows_).subspan(window, 1)))))[0]);
    student_.n_layers = model_->n_layers();
    student_.positions = model_->positions(kTokens);
    student_.head = value_of(model_->load_head());
    student_.load_layer = [this](uint32_t number) { return load_layer(number); };
    // Asked once for the windows of each step and of each judging.
    student_.embed = [this](std::span<const std::vector<Token>> windows) {
      if (n_passes_++ == n_good_passes_) is_broken_ = true;
      if (n_passes_ == kPassesOfAnEpoch + 1 && watched_) after_first_epoch_ = vectors_of(*watched_);
      return model_->embed(windows);
    };
  }

  Result<std::shared_ptr<GridLayer>> load_layer(uint32_t number) {
    TorchLayer layer = value_of(model_->load_layer(number));
    const bool is_broken = is_broken_ && number == kBrokenLayer;
    if (is_broken && !breaks_gradient_)
      layer.set_parameter(TensorRole::ffn_norm,
                          layer.parameter(TensorRole::ffn_norm) * std::numeric_limits<float>::quiet_NaN());
    auto grid = std::make_shared<GridLayer>(layer);
    for (TensorRole role : layer_matrix_roles()) {
      const at::Tensor weights = layer.parameter(role).contiguous();
      std::vector<std::byte>& bytes = encoded_[{number, role}];
      if (bytes.empty()) {
        const float* values = weights.data_ptr<float>();
        bytes = tiny::encode({values, values + weights.numel()}, TensorType::Q4_0, size_t(weights.size(1)));
      }
      auto matrix =
          value_of(unpack_trained_matrix(bytes, TensorType::Q4_0, weights.size(0), weights.size(1)));
      if (is_broken && breaks_gradient_ && role == TensorRole::ffn_up)
        matrix = std::make_unique<BrokenGradient>(std::move(matrix));
      grid->put(role, std::move(matrix));
    }
    return grid;
  }

  EndTrainingResult train(size_t n_good_passes) {
    EndTrainingOptions options;
    options.n_epochs = kEpochs;
    options.learning_rate = 0.002;
    options.n_held_windows = kHeld;
    options.checkpoint = folder_.path() / "state";
    n_passes_ = 0, n_good_passes_ = n_good_passes, is_broken_ = false;
    EndTraining training(student_, windows_, teacher_, options);
    watched_ = &training;
    EndTrainingResult done = value_of(training.run({}));
    watched_ = nullptr, is_broken_ = false;
    result_ = vectors_of(training);
    return done;
  }

  // All norms, one after the other.
  at::Tensor vectors_of(const EndTraining& training) const {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> all = {training.output_norm()};
    for (uint32_t number = 0; number < student_.n_layers; ++number)
      for (const auto& [role, values] : value_of(training.layer(number))->trained_vectors())
        all.push_back(values);
    return at::cat(all);
  }

  // What comes before the second epoch.
  static constexpr size_t kPassesOfAnEpoch = kHeld + kSteps + kHeld;

  TemporaryFolder folder_ = value_of(TemporaryFolder::create("end-training"));
  std::shared_ptr<const GgufFile> source_;
  std::unique_ptr<TorchModel> model_;
  std::vector<std::vector<Token>> windows_;
  TeacherLogits teacher_{int64_t(kWindows), int64_t(kTokens), int64_t(kLlama.n_vocabulary)};
  GridModel student_;
  std::map<std::pair<uint32_t, TensorRole>, std::vector<std::byte>> encoded_;
  size_t n_passes_ = 0, n_good_passes_ = 0;
  bool is_broken_ = false, breaks_gradient_ = false;
  const EndTraining* watched_ = nullptr;
  at::Tensor after_first_epoch_, result_;
};

TEST_F(EndTrainingTest, WhereTheSecondEpochGivesNoNumberKeepsTheFirstAndNamesTheLayer) {
  struct Case {
    const char* what;
    size_t n_good_passes;
    bool breaks_gradient;
  };
  for (const Case& c :
       {Case{"the loss was no number in epoch 2, step 3 of 10", kPassesOfAnEpoch + 2, false},
        {"the gradient was no number in epoch 2, step 3 of 10", kPassesOfAnEpoch + 2, true},
        {"the loss on text held back was no number after 2 of 2 epochs", kPassesOfAnEpoch + kSteps, false}}) {
    SCOPED_TRACE(c.what);
    breaks_gradient_ = c.breaks_gradient;
    std::filesystem::remove(folder_.path() / "state");
    const EndTrainingResult done = train(c.n_good_passes);
    EXPECT_EQ(done.stopped, c.what);
    EXPECT_EQ(done.stopped_layer, kBrokenLayer);
    EXPECT_EQ(done.best_epoch, 1u);
    ASSERT_EQ(done.epoch_held.size(), 1u);
    EXPECT_EQ(done.held_after, done.epoch_held[0]);
    EXPECT_LT(done.held_after, done.held_before);
    EXPECT_TRUE(result_.equal(after_first_epoch_));
  }
}

TEST_F(EndTrainingTest, AfterItWasStoppedByNoNumberTheCheckpointIsGood) {
  const EndTrainingResult whole = train(SIZE_MAX);
  const at::Tensor wanted = result_;
  EXPECT_EQ(whole.stopped, "");
  std::filesystem::remove(folder_.path() / "state");
  EXPECT_NE(train(kPassesOfAnEpoch + 2).stopped, "");
  const EndTrainingResult again = train(SIZE_MAX);
  EXPECT_EQ(n_passes_, kSteps + kHeld) << "goes on with the second epoch";
  EXPECT_EQ(again.stopped, "");
  EXPECT_EQ(again.epoch_held, whole.epoch_held);
  EXPECT_TRUE(result_.equal(wanted));
}

TEST_F(EndTrainingTest, OfAModelThatGivesNoNumbersChangesNothing) {
  const EndTrainingResult done = train(0);
  EXPECT_EQ(done.stopped, "the loss on text held back was no number after 0 of 2 epochs");
  EXPECT_EQ(done.stopped_layer, kBrokenLayer);
  EXPECT_EQ(done.best_epoch, 0u);
  EXPECT_TRUE(done.step_divergence.empty());
}

}  // namespace
}  // namespace edgellm
