// AWQ over whole small models: that scales are taken out again where they were put in, and help where inputs
// are uneven.
#include "recipes/compress/awq_tensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>

#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"
#include "recipes/candidate_store.h"
#include "recipes/stored_model.h"
#include "tests/compress/tiny_torch.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;
using tiny::kGemma3, tiny::kQwen2, tiny::Shape, tiny::value_of;

constexpr size_t kTokens = 24;
// As many value heads as query heads, so that what enters attention_output can be scaled too.
const Shape kAllHeads = {.family = "llama", .n_heads = 2, .n_kv_heads = 2},
            kAllHeadsWithBiases = {.family = "qwen2", .n_heads = 2, .n_kv_heads = 2, .biases = true};

class AwqTensors : public testing::Test {
 protected:
  // Norms that give a few channels inputs far above the others'.
  void use(const Shape& shape, TensorType type) {
    auto tensors = tiny::tensors_of(shape);
    for (tiny::Tensor& t : tensors)
      if (t.declaration.name.ends_with("attn_norm.weight") || t.declaration.name.ends_with("ffn_norm.weight"))
        for (size_t i = 3; i < t.data.size() / sizeof(float); i += 16) {
          float value;
          std::memcpy(&value, t.data.data() + i * sizeof(float), sizeof(float));
          value *= 20;
          std::memcpy(t.data.data() + i * sizeof(float), &value, sizeof(float));
        }
    source_ = tiny::open(tiny::metadata_of(shape), tensors);
    ASSERT_TRUE(source_);
    windows_ = tiny::random_windows(9, kTokens, shape.n_vocabulary);
    plan_ = tiny::plan_in(type, *source_);
  }

  Result<Compensation> run(const std::string& folder) {
    CompensationOptions o;
    o.folder = folder_.path() / folder;
    o.n_threads = 1;
    return awq_tensors(source_, plan_, windows_, o, {});
  }

  std::shared_ptr<const GgufFile> written(const std::string& folder,
                                          const std::vector<std::string>& changed) {
    ThreadPool threads(1);
    CandidateStore store(folder_.path() / folder, *source_, nullptr, threads);
    for (const std::string& name : changed) store.use_changed(name);
    const fs::path path = folder_.path() / (folder + ".gguf");
    Status done = write_stored_model(*source_, plan_, store, path, {});
    EXPECT_TRUE(done.ok());
    return std::make_shared<const GgufFile>(value_of(GgufFile::open(path)));
  }

  // What leaves the last layer.
  at::Tensor states(const std::shared_ptr<const GgufFile>& file) const {
    at::NoGradGuard no_grad;
    auto decoder = tiny::load_torch(file);
    at::Tensor hidden = value_of(decoder->model().embed(windows_));
    const TorchPositions positions = decoder->model().positions(int64_t(kTokens));
    for (uint32_t layer = 0; layer < decoder->model().n_layers(); ++layer)
      hidden = value_of(decoder->model().load_layer(layer)).forward(hidden, positions);
    return hidden;
  }

  TemporaryFolder folder_ = value_of(TemporaryFolder::create("awq"));
  std::shared_ptr<const GgufFile> source_;
  std::vector<std::vector<Token>> windows_;
  QuantizationPlan plan_;
};

TEST_F(AwqTensors, ComputeWhatTheModelComputedWithEveryScaleTakenOutAgain) {
  for (const Shape& shape : {kAllHeads, kAllHeadsWithBiases, kQwen2, kGemma3}) {
    SCOPED_TRACE(fmt::format("{}, {} of {} heads", shape.family, shape.n_kv_heads, shape.n_heads));
    use(shape, TensorType::Q8_0);
    fs::remove_all(folder_.path() / shape.family);
    Compensation done = value_of(run(shape.family));
    const auto changed = done.changed();
    for (const char* norm : {"attn_norm", "ffn_norm"})
      EXPECT_TRUE(std::ranges::any_of(changed, [&](const std::string& name) {
        return name.ends_with(std::string(norm) + ".weight");
      })) << norm;
    const at::Tensor wanted = states(source_), got = states(written(shape.family, changed));
    const at::Tensor nearest = states(written("nearest", {}));
    EXPECT_LT((got - wanted).norm().item<double>(), 1.2 * (nearest - wanted).norm().item<double>());
    // The norms of before beside weights that are scaled are another model.
    EXPECT_GT((states(written(shape.family, {})) - wanted).norm().item<double>(),
              4 * (nearest - wanted).norm().item<double>());
    fs::remove_all(folder_.path() / "nearest");
  }
}

TEST_F(AwqTensors, HaveLessErrorThanRoundingToNearestWhereInputsAreUneven) {
  use(kAllHeads, TensorType::Q4_0);
  Compensation done = value_of(run("uneven"));
  EXPECT_EQ(done.tensors.size(), plan_.types.size());
  EXPECT_EQ(done.n_tokens, windows_.size() * kTokens);
  double sum = 0;
  for (const CompensatedTensor& t : done.tensors) {
    EXPECT_GT(t.error, 0) << t.name;
    EXPECT_LT(t.error, 1.1 * t.nearest_error) << t.name;
    sum += std::log(t.error / t.nearest_error);
  }
  EXPECT_LT(std::exp(sum / double(done.tensors.size())), 0.9);
}

TEST_F(AwqTensors, OfAStoppedRunAreThoseOfOneThatWasNot) {
  use(kQwen2, TensorType::Q4_0);
  const auto changed = value_of(run("whole")).changed();
  value_of(run("stopped"));
  // As if it had been killed in its second layer, while a line was written.
  const fs::path log = folder_.path() / "stopped" / "awq.jsonl";
  std::string kept = *read_text_file(log);
  kept.resize(kept.find("\"scaled_layer\":0") + 30);
  ASSERT_TRUE(write_text_file(log, kept).ok());
  fs::remove(CandidateStore::path_of(folder_.path() / "stopped", "blk.1.ffn_up.weight", TensorType::Q4_0));
  EXPECT_EQ(value_of(run("stopped")).changed(), changed);
  for (const auto& entry : fs::directory_iterator(folder_.path() / "whole")) {
    if (entry.path().extension() == ".jsonl" || entry.path().extension() == ".json") continue;
    EXPECT_EQ(value_of(read_text_file(entry.path())),
              value_of(read_text_file(folder_.path() / "stopped" / entry.path().filename())))
        << entry.path();
  }
}

TEST_F(AwqTensors, AreCalibratedWithoutLayersThatAreDropped) {
  use(kAllHeads, TensorType::Q4_0);
  value_of(run("all"));
  plan_.dropped_layers = {0};
  Compensation done = value_of(run("dropped"));
  for (const CompensatedTensor& t : done.tensors) EXPECT_FALSE(t.name.starts_with("blk.0.")) << t.name;
  for (const std::string& name : done.changed()) EXPECT_FALSE(name.starts_with("blk.0.")) << name;
  // What enters the next one is another text's then.
  auto stored = [&](const char* folder) {
    return value_of(read_text_file(
        CandidateStore::path_of(folder_.path() / folder, "blk.1.attn_q.weight", TensorType::Q4_0)));
  };
  EXPECT_NE(stored("all"), stored("dropped"));
}

TEST_F(AwqTensors, LeaveInputsAloneThatNotAllMatricesCanTakeScaled) {
  use(kAllHeads, TensorType::Q4_0);
  for (const char* kept : {"blk.0.attn_q.weight", "blk.0.ffn_up.weight"}) plan_.types.erase(kept);
  const auto changed = value_of(run("some")).changed();
  for (const char* norm : {"attn_norm", "ffn_norm"}) {
    EXPECT_FALSE(std::ranges::count(changed, fmt::format("blk.0.{}.weight", norm))) << norm;
    EXPECT_TRUE(std::ranges::count(changed, fmt::format("blk.1.{}.weight", norm))) << norm;
  }
}

}  // namespace
}  // namespace edgellm
