// Training on the grid over whole small models: it brings them nearer to the original, the file is what was
// trained, a stopped run goes on to the same bytes, and what does not help is not kept.
#include "recipes/compress/trained_tensors.h"

#include <chrono>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <thread>

#include "core/base/file_size_limit.h"
#include "core/base/interrupt.h"
#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"
#include "recipes/candidate_store.h"
#include "recipes/stored_model.h"
#include "tests/compress/tiny_torch.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;
using tiny::kGemma3, tiny::kLlama, tiny::kQwen2, tiny::kWide, tiny::Shape, tiny::value_of;

constexpr size_t kWindows = 64, kTokens = 24, kHeldWindows = kWindows / 8;

class TrainedTensors : public testing::Test {
 protected:
  void TearDown() override { clear_interrupt(); }

  void use(const Shape& shape, TensorType type) {
    source_ = tiny::open(shape);
    ASSERT_TRUE(source_);
    windows_ = tiny::random_windows(kWindows, kTokens, shape.n_vocabulary);
    plan_ = tiny::plan_in(type, *source_);
    encoded_ = folder_.path() / fmt::format("{}-encoded", shape.family);
    for (const auto& [name, planned] : plan_.types) stored(encoded_, name);
  }

  Result<GridTraining> train(const std::string& folder, size_t n_epochs, double learning_rate,
                             const Progress& progress = {}) {
    GridTrainingOptions o;
    o.encoded = encoded_;
    o.folder = folder_.path() / folder;
    o.n_epochs = n_epochs;
    o.learning_rate = learning_rate;
    o.n_threads = 1;
    o.original = original_;
    o.changed = changed_;
    o.keeps_layers = keeps_layers_;
    return train_tensors(source_, plan_, windows_, o, progress);
  }

  std::vector<std::byte> stored(const fs::path& folder, const std::string& tensor) {
    ThreadPool threads(1);
    CandidateStore store(folder, *source_, nullptr, threads);
    auto bytes = value_of(store.get(*source_->find(tensor), plan_.types.at(tensor)));
    return {bytes.begin(), bytes.end()};
  }

  at::Tensor log_probabilities(const TorchDecoder& decoder, const TorchHead& head, size_t window) const {
    at::Tensor hidden = decoder.forward(value_of(decoder.model().embed(std::span(&windows_[window], 1))));
    return head.logits(hidden).to(at::kDouble).log_softmax(-1);
  }

  // Mean divergence of a file from the original, as planned, over the windows held back.
  double held_divergence(const fs::path& file) const {
    auto original = tiny::load_torch(original_ ? original_ : source_);
    auto student = tiny::load_torch(std::make_shared<const GgufFile>(value_of(GgufFile::open(file))));
    double sum = 0;
    at::NoGradGuard no_grad;
    for (size_t window = kWindows - kHeldWindows; window < kWindows; ++window) {
      at::Tensor p = log_probabilities(*original, original->head(), window),
                 q = log_probabilities(*student, student->head(), window);
      sum += (p.exp() * (p - q)).sum().item<double>();
    }
    return sum / double(kHeldWindows * kTokens);
  }

  fs::path write(const std::string& folder, const GridTraining& trained) {
    ThreadPool threads(1);
    CandidateStore store(folder_.path() / folder, *source_, nullptr, threads);
    for (const std::string& name : trained.changed) store.use_changed(name);
    const fs::path path = folder_.path() / (folder + ".gguf");
    Status written = write_stored_model(*source_, plan_, store, path, {});
    EXPECT_TRUE(written.ok()) << (written.ok() ? "" : written.error().message);
    return path;
  }

  TemporaryFolder folder_ = value_of(TemporaryFolder::create("trained"));
  std::shared_ptr<const GgufFile> source_, original_;  // null: the source
  std::vector<std::vector<Token>> windows_;
  QuantizationPlan plan_;
  fs::path encoded_;
  std::vector<std::string> changed_;
  bool keeps_layers_ = true;
};

TEST_F(TrainedTensors, AreNearerToTheOriginalAndTheFileIsWhatWasJudged) {
  for (const Shape& shape : {kLlama, kQwen2, kGemma3}) {
    SCOPED_TRACE(shape.family);
    use(shape, TensorType::Q4_0);
    GridTraining done = value_of(train(shape.family, 3, 0.002));
    EXPECT_GT(done.best_epoch, 0u);
    EXPECT_LT(done.held_after, done.held_before);
    EXPECT_EQ(done.epoch_held.size(), 3u);
    // An epoch's mean is that of its steps.
    const std::vector<double>& steps = done.step_divergence;
    ASSERT_EQ(steps.size() % 3, 0u);
    const size_t n_steps = steps.size() / 3;
    for (size_t epoch = 0; epoch < 3; ++epoch) {
      double sum = 0;
      for (size_t step = 0; step < n_steps; ++step) sum += steps[epoch * n_steps + step];
      EXPECT_NEAR(done.epoch_trained[epoch], sum / double(n_steps), 1e-9);
    }
    EXPECT_EQ(done.n_tokens, (kWindows - kHeldWindows) * kTokens);
    EXPECT_TRUE(std::find(done.changed.begin(), done.changed.end(), "output_norm.weight") !=
                done.changed.end());
    EXPECT_TRUE(std::find(done.changed.begin(), done.changed.end(), "blk.1.ffn_norm.weight") !=
                done.changed.end());
    const double of_file = held_divergence(write(shape.family, done));
    EXPECT_NEAR(of_file, done.held_after, 0.01 * of_file + 1e-6);
  }
}

TEST_F(TrainedTensors, OfCodebookTypesAreThoseTheFileHoldsToo) {
  use(kWide, TensorType::IQ2_XS);
  GridTraining done = value_of(train("codebooks", 3, 0.01));
  EXPECT_GT(done.best_epoch, 0u);
  EXPECT_LT(done.held_after, done.held_before);
  const std::string name = "blk.1.ffn_up.weight";
  EXPECT_TRUE(std::find(done.changed.begin(), done.changed.end(), name) != done.changed.end());
  EXPECT_NE(stored(folder_.path() / "codebooks", name), stored(encoded_, name));
  const double of_file = held_divergence(write("codebooks", done));
  EXPECT_NEAR(of_file, done.held_after, 0.01 * of_file + 1e-6);
}

TEST_F(TrainedTensors, AreTheSameWhereLayersAreReadForEveryStep) {
  use(kQwen2, TensorType::Q4_0);
  const GridTraining kept = value_of(train("kept", 1, 0.002));
  keeps_layers_ = false;
  const GridTraining read = value_of(train("read", 1, 0.002));
  EXPECT_GT(kept.best_epoch, 0u);
  EXPECT_EQ(read.held_after, kept.held_after);
  EXPECT_EQ(read.changed, kept.changed);
  for (const auto& [name, type] : plan_.types)
    EXPECT_EQ(stored(folder_.path() / "read", name), stored(folder_.path() / "kept", name)) << name;
}

TEST_F(TrainedTensors, OfAModelWithADroppedLayerLeaveItOut) {
  use(kLlama, TensorType::Q4_0);
  plan_.dropped_layers = {1};
  GridTraining done = value_of(train("dropped", 4, 0.01));
  EXPECT_LT(done.held_after, done.held_before);
  for (const std::string& name : done.changed) EXPECT_FALSE(name.starts_with("blk.1.")) << name;
  const double of_file = held_divergence(write("dropped", done));
  EXPECT_NEAR(of_file, done.held_after, 0.01 * of_file + 1e-6);
}

TEST_F(TrainedTensors, BeginWithNormsThatWereChangedBefore) {
  use(kLlama, TensorType::Q4_0);
  const double as_they_were = value_of(train("plain", 1, 0.002)).held_before;
  const GgufTensor& norm = *source_->find("blk.1.ffn_norm.weight");
  std::vector<float> values(norm.n_values());
  std::memcpy(values.data(), norm.data.data(), norm.data.size());
  for (float& value : values) value *= 1.5f;
  OutputFile out = value_of(OutputFile::create(CandidateStore::path_of(encoded_, norm.name, norm.type)));
  ASSERT_TRUE(out.write(std::as_bytes(std::span(values))).ok() && out.commit().ok());
  changed_ = {norm.name};
  GridTraining done = value_of(train("changed", 3, 0.01));
  EXPECT_GT(done.held_before, 1.1 * as_they_were);
  EXPECT_LT(done.held_after, done.held_before);
  const double of_file = held_divergence(write("changed", done));
  EXPECT_NEAR(of_file, done.held_after, 0.01 * of_file + 1e-6);
}

TEST_F(TrainedTensors, GoTowardsAnotherModelWhereOneIsGiven) {
  use(kLlama, TensorType::Q4_0);
  Shape deeper = kLlama;
  deeper.n_layers += 1;
  original_ = tiny::open(deeper);
  GridTraining done = value_of(train("towards", 3, 0.01));
  EXPECT_LT(done.held_after, done.held_before);
  const double of_file = held_divergence(write("towards", done));
  EXPECT_NEAR(of_file, done.held_after, 0.01 * of_file + 1e-6);
}

TEST_F(TrainedTensors, ComeOutTheSameWhenTheRunWasStoppedAtAnyStage) {
  use(kLlama, TensorType::Q4_0);
  GridTraining whole = value_of(train("whole", 3, 0.01));
  ASSERT_GT(whole.best_epoch, 0u);
  for (const auto& [stage, fraction] : {std::pair<std::string, double>{"asking the original", 0.3},
                                        {"training on the grid", 0.2},
                                        {"training on the grid", 0.8}}) {
    const std::string folder = fmt::format("stopped-{}-{}", stage, fraction);
    Progress stop = [&, &stage = stage, &fraction = fraction](const ProgressReport& report) {
      if (report.stage == stage && report.fraction >= fraction) request_interrupt();
    };
    auto stopped = train(folder, 3, 0.01, stop);
    ASSERT_FALSE(stopped.ok()) << folder;
    EXPECT_NE(stopped.error().message.find("interrupted"), std::string::npos) << stopped.error().message;
    clear_interrupt();
    GridTraining again = value_of(train(folder, 3, 0.01));
    EXPECT_EQ(again.held_after, whole.held_after);
    EXPECT_EQ(again.epoch_trained, whole.epoch_trained);
    EXPECT_EQ(again.step_divergence, whole.step_divergence);
    ASSERT_EQ(again.changed, whole.changed);
    for (const std::string& name : again.changed)
      if (plan_.types.contains(name)) {
        EXPECT_EQ(stored(folder_.path() / folder, name), stored(folder_.path() / "whole", name)) << name;
      }
  }
}

TEST_F(TrainedTensors, WithoutRoomInTheMidstComeOutTheSameOnceThereIs) {
  use(kLlama, TensorType::Q4_0);
  windows_.resize(24);
  const GridTraining whole = value_of(train("whole", 2, 0.01));
  ASSERT_GT(whole.best_epoch, 0u);
  for (const auto& [fraction, file] : {std::pair{0.5, "training.state"}, {1.0, "blk.0."}}) {
    SCOPED_TRACE(file);
    const std::string folder = fmt::format("full-{}", fraction);
    std::optional<FileSizeLimit> limit;
    auto full = train(folder, 2, 0.01, [&, &fraction = fraction](const ProgressReport& report) {
      if (report.stage != "training on the grid" || limit) return;
      // Reports come ten times a second at most, and a fast machine would be done by then.
      if (fraction < 1) std::this_thread::sleep_for(std::chrono::milliseconds(101));
      // Only the last report, after the last checkpoint, has no note.
      if (report.fraction >= fraction && (fraction < 1 || report.note.empty())) limit.emplace(100);
    });
    ASSERT_TRUE(limit);
    limit.reset();
    ASSERT_FALSE(full.ok());
    for (const char* word : {file, "start again"})
      EXPECT_NE(full.error().message.find(word), std::string::npos) << full.error().message;
    for (const auto& entry : fs::directory_iterator(folder_.path() / folder))
      EXPECT_EQ(entry.path().string().find(".partial-"), std::string::npos) << entry.path();
    const GridTraining again = value_of(train(folder, 2, 0.01));
    EXPECT_EQ(again.step_divergence, whole.step_divergence);
    ASSERT_EQ(again.changed, whole.changed);
    for (const auto& [name, type] : plan_.types)
      EXPECT_EQ(stored(folder_.path() / folder, name), stored(folder_.path() / "whole", name)) << name;
  }
}

TEST_F(TrainedTensors, AreNotKeptWhereNoEpochHelps) {
  use(kLlama, TensorType::Q8_0);
  GridTraining done = value_of(train("spoilt", 1, 0.3));
  EXPECT_EQ(done.best_epoch, 0u);
  EXPECT_EQ(done.held_after, done.held_before);
  EXPECT_TRUE(done.changed.empty());
}

TEST_F(TrainedTensors, ALossThatIsNoNumberStopsTheRunAndNamesTheStepAndTheLayer) {
  use(kLlama, TensorType::Q4_0);
  GridTraining diverged = value_of(train("diverged", 2, 1e30));
  EXPECT_NE(diverged.stopped.find("no number in epoch 1, step"), std::string::npos) << diverged.stopped;
  EXPECT_EQ(diverged.stopped_layer, 0u);
  EXPECT_EQ(diverged.best_epoch, 0u);
  EXPECT_TRUE(diverged.changed.empty());
}

TEST_F(TrainedTensors, WantEnoughText) {
  use(kLlama, TensorType::Q4_0);
  windows_.resize(7);
  auto refused = train("short", 1, 0.01);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("at least 8 windows of text, got 7"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
