// GPTQ over whole small models: what is stored, in what order it is made, and that a stopped run goes on.
#include "recipes/compress/compensated_tensors.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <thread>

#include "compress/torch_model/torch_weights.h"
#include "core/base/file_size_limit.h"
#include "core/base/interrupt.h"
#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"
#include "core/base/test_folders.h"
#include "recipes/calibration_text.h"
#include "recipes/candidate_store.h"
#include "recipes/compress/trained_tensors.h"
#include "recipes/pruned_weights.h"
#include "recipes/stored_model.h"
#include "tests/compress/tiny_torch.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;
using tiny::kGemma3, tiny::kLlama, tiny::kQwen2, tiny::kWide, tiny::Shape, tiny::value_of;

constexpr size_t kWindows = 9, kTokens = 24;

class CompensatedTensors : public testing::Test {
 protected:
  void TearDown() override { clear_interrupt(); }

  void use(const Shape& shape, TensorType type) {
    source_ = tiny::open(shape);
    ASSERT_TRUE(source_);
    windows_ = tiny::random_windows(kWindows, kTokens, shape.n_vocabulary);
    plan_ = tiny::plan_in(type, *source_);
  }

  CompensationOptions options(const std::string& folder) const {
    CompensationOptions o;
    o.folder = folder_.path() / folder;
    o.n_threads = 1;
    o.weigh_tokens = weighs_tokens_;
    o.n_layer_epochs = n_layer_epochs_;
    return o;
  }

  Result<Compensation> run(const std::string& folder, const Progress& progress = {}) {
    return compensate_tensors(source_, plan_, windows_, options(folder), progress);
  }

  std::vector<std::byte> stored(const std::string& folder, const std::string& tensor) {
    ThreadPool threads(1);
    CandidateStore store(folder_.path() / folder, *source_, nullptr, threads);
    auto bytes = value_of(store.get(*source_->find(tensor), plan_.types.at(tensor)));
    return {bytes.begin(), bytes.end()};
  }

  void expect_the_same_after_stops() {
    ASSERT_TRUE(run("whole").ok());
    size_t n_stops = 0;
    Result<Compensation> done = Error{"not run"};
    // Each run is stopped once it has come half of the way further, which is more than a layer: one that was
    // not finished is begun again.
    for (;; ++n_stops) {
      ASSERT_LT(n_stops, 100u);
      double first = -1;
      done = run("stopped", [&](const ProgressReport& report) {
        if (first < 0) first = report.fraction;
        // Reports come ten times a second at most, and a fast machine would be done by then.
        std::this_thread::sleep_for(std::chrono::milliseconds(101));
        if (report.fraction > first + 0.5 && report.fraction < 1) request_interrupt();
      });
      clear_interrupt();
      if (done.ok()) break;
      EXPECT_EQ(done.error().message, "interrupted");
      if (n_stops > 20) break;
    }
    EXPECT_GT(n_stops, 0u);
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_EQ(done->tensors.size(), plan_.types.size());
    for (const auto& [name, type] : plan_.types)
      EXPECT_EQ(stored("whole", name), stored("stopped", name)) << name;
  }

  // Of the last layer with what is stored in place of all that was rounded and trained, as TrainedLayer tells
  // it.
  double error_of_layers(const std::string& folder, const Compensation& done) {
    ThreadPool threads(1);
    CandidateStore store(folder_.path() / folder, *source_, nullptr, threads);
    for (const std::string& name : done.changed()) store.use_changed(name);
    // The embedding is rounded after the layers, which saw it as it was.
    QuantizationPlan plan = plan_;
    plan.types.erase("token_embd.weight");
    const fs::path path = folder_.path() / (folder + ".gguf");
    Status written = write_stored_model(*source_, plan, store, path, {});
    EXPECT_TRUE(written.ok());
    auto file = std::make_shared<const GgufFile>(value_of(GgufFile::open(path)));
    auto original = tiny::load_torch(source_), rounded = tiny::load_torch(file);
    const auto held = std::span(windows_).last(n_held_windows(windows_.size()));
    at::NoGradGuard no_grad;
    at::Tensor wanted = value_of(original->model().embed(held)), got = wanted, input;
    const TorchPositions positions = original->model().positions(int64_t(kTokens));
    for (uint32_t layer = 0; layer < original->model().n_layers(); ++layer) {
      input = got;
      wanted = value_of(original->model().load_layer(layer)).forward(wanted, positions);
      got = value_of(rounded->model().load_layer(layer)).forward(got, positions);
    }
    return ((got - wanted).square().sum(-1) / (wanted - input).square().sum(-1)).mean().item<double>();
  }

  TemporaryFolder folder_ = value_of(TemporaryFolder::create("compensated"));
  std::shared_ptr<const GgufFile> source_;
  std::vector<std::vector<Token>> windows_;
  QuantizationPlan plan_;
  bool weighs_tokens_ = false;
  size_t n_layer_epochs_ = 0;
};

TEST_F(CompensatedTensors, AreEveryMatrixOfThePlanWithLessOutputErrorThanRoundingToNearest) {
  for (const Shape& shape : {kLlama, kQwen2}) {
    SCOPED_TRACE(shape.family);
    use(shape, TensorType::Q4_0);
    Compensation done = value_of(run(shape.family));
    EXPECT_EQ(done.n_tokens, kWindows * kTokens);
    EXPECT_EQ(done.tensors.size(), plan_.types.size());
    for (const CompensatedTensor& t : done.tensors) {
      EXPECT_TRUE(t.is_compensated) << t.name;
      EXPECT_EQ(t.type, TensorType::Q4_0) << t.name;
      EXPECT_LT(t.error, t.nearest_error) << t.name;
      EXPECT_TRUE(fs::exists(CandidateStore::path_of(folder_.path() / shape.family, t.name, t.type)));
    }
  }
}

TEST_F(CompensatedTensors, HaveLessErrorInCodebookTypesToo) {
  use(kWide, TensorType::IQ2_XS);
  plan_.types["blk.1.ffn_up.weight"] = TensorType::IQ3_S;
  Compensation done = value_of(run("codebooks"));
  EXPECT_EQ(done.tensors.size(), plan_.types.size());
  for (const CompensatedTensor& t : done.tensors) {
    EXPECT_TRUE(t.is_compensated) << t.name;
    EXPECT_LT(t.error, 0.95 * t.nearest_error) << t.name;
  }
}

TEST_F(CompensatedTensors, ThatAreAllThereAreNotMadeAgain) {
  use(kLlama, TensorType::Q4_0);
  Compensation done = value_of(run("twice"));
  size_t n_reports = 0;
  Compensation again = value_of(run("twice", [&](const ProgressReport&) { ++n_reports; }));
  EXPECT_EQ(n_reports, 0u);
  EXPECT_EQ(again.tensors.size(), done.tensors.size());
  EXPECT_EQ(again.n_tokens, done.n_tokens);
  // One of them lost: it is made again.
  auto before = stored("twice", "blk.1.ffn_up.weight");
  fs::remove(CandidateStore::path_of(folder_.path() / "twice", "blk.1.ffn_up.weight", TensorType::Q4_0));
  value_of(run("twice", [&](const ProgressReport&) { ++n_reports; }));
  EXPECT_GT(n_reports, 0u);
  EXPECT_EQ(stored("twice", "blk.1.ffn_up.weight"), before);
}

TEST_F(CompensatedTensors, WithWeighedTokensAreOthersAndTheSameAfterAStop) {
  use(kGemma3, TensorType::Q4_0);
  value_of(run("plain"));
  weighs_tokens_ = true;
  value_of(run("weighed"));
  const std::string name = "blk.2.ffn_up.weight";
  const auto weighed = stored("weighed", name);
  EXPECT_NE(weighed, stored("plain", name));
  fs::remove(CandidateStore::path_of(folder_.path() / "weighed", name, TensorType::Q4_0));
  value_of(run("weighed"));
  EXPECT_EQ(stored("weighed", name), weighed);
}

TEST_F(CompensatedTensors, OfTrainedLayersAreWhatWasTrained) {
  for (const Shape& shape : {kLlama, kQwen2, kGemma3}) {
    SCOPED_TRACE(shape.family);
    use(shape, TensorType::Q4_0);
    windows_ = tiny::random_windows(40, kTokens, shape.n_vocabulary);
    n_layer_epochs_ = 0;
    EXPECT_TRUE(value_of(run(std::string(shape.family) + " rounded")).layers.empty());
    n_layer_epochs_ = 3;
    const std::string folder = std::string(shape.family) + " trained";
    Compensation done = value_of(run(folder));
    EXPECT_EQ(done.n_tokens, 35 * kTokens);
    ASSERT_EQ(done.layers.size(), shape.n_layers);
    size_t n_helped = 0;
    for (const TrainedLayer& layer : done.layers) {
      EXPECT_EQ(layer.stopped, "");
      EXPECT_EQ(layer.changed.empty(), layer.best_epoch == 0);
      if (!layer.best_epoch) {
        EXPECT_EQ(layer.held_after, layer.held_before);
        continue;
      }
      ++n_helped;
      EXPECT_LT(layer.held_after, layer.held_before);
      const std::string norm = fmt::format("blk.{}.ffn_norm.weight", layer.layer);
      EXPECT_TRUE(std::ranges::count(layer.changed, norm)) << norm;
      EXPECT_TRUE(fs::exists(CandidateStore::path_of(folder_.path() / folder, norm, TensorType::F32)));
    }
    EXPECT_GT(n_helped, 0u);
    EXPECT_NEAR(error_of_layers(folder, done), done.layers.back().held_after,
                0.02 * done.layers.back().held_after);
  }
}

TEST_F(CompensatedTensors, WithoutRoomForALayerThatWasTrainedComeOutTheSameOnceThereIs) {
  // Of the matrices of a layer those of attention are large, and ffn_down is the last one to be rounded.
  Shape narrow = kLlama;
  narrow.n_feed_forward = {32};
  use(narrow, TensorType::Q4_0);
  windows_ = tiny::random_windows(40, kTokens, narrow.n_vocabulary);
  n_layer_epochs_ = 2;
  const Compensation whole = value_of(run("whole"));
  ASSERT_GT(whole.layers.front().best_epoch, 0u);
  std::optional<FileSizeLimit> limit;
  auto full = run("full", [&](const ProgressReport& report) {
    // Reports come ten times a second at most.
    std::this_thread::sleep_for(std::chrono::milliseconds(101));
    if (report.note == "blk.0.ffn_down.weight") limit.emplace(2500);
  });
  ASSERT_TRUE(limit);
  limit.reset();
  ASSERT_FALSE(full.ok());
  for (const char* word : {"blk.0.attn_", "start again"})
    EXPECT_NE(full.error().message.find(word), std::string::npos) << full.error().message;
  for (const auto& entry : fs::directory_iterator(folder_.path() / "full"))
    EXPECT_EQ(entry.path().string().find(".partial-"), std::string::npos) << entry.path();
  const Compensation again = value_of(run("full"));
  EXPECT_EQ(again.changed(), whole.changed());
  for (const auto& [name, type] : plan_.types) EXPECT_EQ(stored("full", name), stored("whole", name)) << name;
}

TEST_F(CompensatedTensors, OfALayerWhoseTrainingIsNotKnownAreMadeAgain) {
  use(kLlama, TensorType::Q4_0);
  plan_.types.erase("token_embd.weight");
  windows_ = tiny::random_windows(40, kTokens, kLlama.n_vocabulary);
  n_layer_epochs_ = 2;
  value_of(run("trained"));
  const std::string name = "blk.2.ffn_up.weight";
  const auto trained = stored("trained", name);
  // As if the last line had not been written: all is done again.
  const fs::path log = folder_.path() / "trained" / "compensation.jsonl";
  std::ifstream in(log);
  std::string kept;
  for (std::string line; std::getline(in, line);)
    if (line.find("\"layer\":2") == std::string::npos) kept += line + "\n";
  in.close();
  ASSERT_TRUE(write_text_file(log, kept).ok());
  EXPECT_EQ(value_of(run("trained")).layers.size(), 3u);
  EXPECT_EQ(stored("trained", name), trained);
}

TEST_F(CompensatedTensors, OfTypesWithoutAGridAreRoundedToNearestAndSaidToBe) {
  use(kLlama, TensorType::F16);
  plan_.types["blk.1.ffn_up.weight"] = TensorType::Q8_0;
  Compensation done = value_of(run("mixed"));
  for (const CompensatedTensor& t : done.tensors) {
    EXPECT_EQ(t.is_compensated, t.name == "blk.1.ffn_up.weight") << t.name;
    EXPECT_LE(t.error, t.nearest_error) << t.name;
  }
}

TEST_F(CompensatedTensors, LeaveOutDroppedLayersAndTensorsThatKeepTheirType) {
  use(kLlama, TensorType::Q4_0);
  plan_.dropped_layers = {1};
  plan_.types.erase("blk.0.attn_k.weight");
  plan_.types["blk.0.attn_v.weight"] = TensorType::F32;
  Compensation done = value_of(run("dropped"));
  EXPECT_FALSE(done.tensors.empty());
  for (const CompensatedTensor& t : done.tensors) {
    EXPECT_FALSE(t.name.starts_with("blk.1.")) << t.name;
    EXPECT_NE(t.name, "blk.0.attn_k.weight");
    EXPECT_NE(t.name, "blk.0.attn_v.weight");
  }
}

TEST_F(CompensatedTensors, OfARunThatWasStoppedAnywhereAreThoseOfOneThatWasNot) {
  use(kQwen2, TensorType::Q4_0);
  expect_the_same_after_stops();
}

TEST_F(CompensatedTensors, OfTrainedLayersAreTheSameAfterStopsToo) {
  use(kQwen2, TensorType::Q4_0);
  windows_ = tiny::random_windows(40, kTokens, kQwen2.n_vocabulary);
  n_layer_epochs_ = 3;
  expect_the_same_after_stops();
}

TEST_F(CompensatedTensors, ThatWerePrunedStayZeroInTrainedLayers) {
  Shape shape = kLlama;
  auto tensors = tiny::tensors_of(shape);
  for (tiny::Tensor& t : tensors)
    if (t.declaration.dimensions.size() == 2 && t.declaration.name.starts_with("blk."))
      for (size_t i = 0; i < t.data.size() / sizeof(float); i += 2)
        std::fill_n(t.data.data() + i * sizeof(float), sizeof(float), std::byte(0));
  Metadata metadata = tiny::metadata_of(shape);
  tell_pruned_weights(1, metadata);
  source_ = tiny::open(metadata, tensors);
  ASSERT_TRUE(source_ && has_pruned_weights(*source_));
  windows_ = tiny::random_windows(40, kTokens, shape.n_vocabulary);
  plan_ = tiny::plan_in(TensorType::Q4_0, *source_);
  n_layer_epochs_ = 8;
  Compensation done = value_of(run("pruned"));
  EXPECT_TRUE(std::ranges::any_of(done.layers, [](const TrainedLayer& l) { return l.best_epoch > 0; }));
  for (const CompensatedTensor& t : done.tensors) {
    if (!t.name.starts_with("blk.")) continue;
    const GgufTensor& tensor = *source_->find(t.name);
    std::vector<float> values(tensor.n_values());
    info(t.type).decode(stored("pruned", t.name).data(), values.data(), values.size());
    for (size_t i = 0; i < values.size(); i += 2) ASSERT_EQ(values[i], 0) << t.name << " " << i;
  }
}

TEST_F(CompensatedTensors, LayersAreCalibratedWithWhatTheRoundedOnesBeforeGive) {
  use(kLlama, TensorType::Q4_0);
  ASSERT_TRUE(run("all").ok());
  std::vector<std::byte> after_rounded = stored("all", "blk.2.ffn_down.weight");
  // The same tensor when nothing before it is rounded.
  plan_.types = {{"blk.2.ffn_down.weight", TensorType::Q4_0}};
  ASSERT_TRUE(run("alone").ok());
  EXPECT_NE(stored("alone", "blk.2.ffn_down.weight"), after_rounded);
}

TEST_F(CompensatedTensors, OfWindowsThatDoNotFitTheContextAreAnError) {
  use(kLlama, TensorType::Q4_0);
  windows_ = tiny::random_windows(1, 300, kLlama.n_vocabulary);
  auto done = run("long");
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().message.find("context of 256"), std::string::npos) << done.error().message;
}

// One of its layers has inputs that a single token excites a thousand times more than all others do.
TEST(CompensatedRealModel, IsNearerThanRoundingToNearestInEveryTensor) {
  const fs::path path = models_folder() / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!fs::exists(path)) GTEST_SKIP() << "no model at " << path;
  auto source = std::make_shared<const GgufFile>(value_of(GgufFile::open(path)));
  const Tokenizer tokenizer = value_of(Tokenizer::from_metadata(source->metadata()));
  auto text = value_of(read_calibration_text(
      std::vector<TextSource>{{source_folder() / "tests" / "data" / "text" / "prose.txt", {}}}, *source,
      tokenizer, 128, 8));
  text.windows.resize(8);
  const TemporaryFolder folder = value_of(TemporaryFolder::create("gptq"));
  CompensationOptions options;
  options.folder = folder.path() / "tensors";
  options.n_threads = 1;
  const Compensation done = value_of(
      compensate_tensors(source, tiny::plan_in(TensorType::Q2_0, *source), text.windows, options, {}));
  size_t n_compensated = 0;
  for (const CompensatedTensor& tensor : done.tensors) {
    if (!tensor.is_compensated) continue;
    EXPECT_LT(tensor.error, 0.9 * tensor.nearest_error) << tensor.name;
    ++n_compensated;
  }
  EXPECT_GE(n_compensated, 210u);
}

}  // namespace
}  // namespace edgellm
