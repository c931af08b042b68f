// Pruning by the built program: what is left out, what the file then is, and what is refused.
#include <nlohmann/json.hpp>

#include "core/model_file/gguf.h"
#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class Prune : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    write_model(at("model.gguf"));
    std::ofstream(at("text.txt")) << some_text(1500);
  }
  std::vector<std::string> prune(std::vector<std::string> more) const {
    std::vector<std::string> all = {"prune",    "model.gguf", "--calibrate",
                                    "text.txt", "--json",     "report.json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  // The report of a prune to out.gguf that must work, and whose file must run.
  nlohmann::json pruned(std::vector<std::string> more) {
    more.insert(more.end(), {"-o", "out.gguf"});
    Outcome outcome = run(prune(more));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    if (outcome.exit_code) return {};
    EXPECT_EQ(run({"run", "out.gguf", "--prompt", "hello", "-n", "4"}).exit_code, 0);
    for (const auto& entry : fs::directory_iterator(folder_))
      EXPECT_EQ(entry.path().string().find(".work"), std::string::npos) << entry.path();
    auto report = nlohmann::json::parse(contents(at("report.json")));
    EXPECT_EQ(report["after"]["file_bytes"], fs::file_size(at("out.gguf")));
    return report;
  }
  // Whether the program with LibTorch stands beside the other.
  bool has_torch() const { return fs::exists(program_.parent_path() / "edgellm-torch"); }
};

TEST_F(Prune, LeavesOutTheLayersOfLeastBlockInfluence) {
  auto report = pruned({"--method", "block-influence", "--fraction", "0.5"});
  ASSERT_EQ(report["dropped_layers"].size(), 2u);
  auto influence = report["block_influence"].get<std::vector<double>>();
  std::sort(influence.begin(), influence.end());
  for (int layer : report["dropped_layers"]) EXPECT_LE(report["block_influence"][layer], influence[1]);
  EXPECT_GT(report["after"]["mean_kl"], 0.0);
}

TEST_F(Prune, SearchByKlIsAtLeastAsNearOnTheTextItSearched) {
  auto report = pruned({"--method", "kl", "--fraction", "0.25"});
  EXPECT_EQ(report["dropped_layers"].size(), 1u);
}

TEST_F(Prune, HalvesOfLayersMakeAFileOfUnevenLayers) {
  auto report = pruned({"--method", "kl", "--fraction", "0.3", "--halves"});
  auto file = GgufFile::open(at("out.gguf"));
  ASSERT_TRUE(file.ok()) << file.error().message;
  if (report["dropped_attention"].size() + report["dropped_ffn"].size() > 0) {
    EXPECT_EQ(file->metadata().string_or("general.architecture", ""), "deci");
  }
}

TEST_F(Prune, DryRunWritesNothing) {
  Outcome outcome = run({"prune", "model.gguf", "--calibrate", "text.txt", "--method", "kl", "--dry-run"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("1 of 4 layers are left out"), std::string::npos) << outcome.out;
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 2);
}

TEST_F(Prune, SingleWeightsAreZeroInAFileOfTheSameSize) {
  if (!has_torch()) GTEST_SKIP() << "edgellm-torch is not built";
  for (const char* method : {"magnitude", "wanda", "sparsegpt"}) {
    SCOPED_TRACE(method);
    auto report = pruned({"--method", method, "--pattern", "2:4"});
    // The header may gain a key.
    EXPECT_NEAR(report["before"]["file_bytes"].get<double>(), report["after"]["file_bytes"].get<double>(),
                256);
    EXPECT_GE(2 * report["pruned_weights"].get<uint64_t>(), report["weights"].get<uint64_t>());
    auto file = GgufFile::open(at("out.gguf"));
    ASSERT_TRUE(file.ok());
    const GgufTensor* tensor = file->find("blk.1.ffn_up.weight");
    std::vector<float> values(tensor->n_values());
    info(tensor->type).decode(tensor->data.data(), values.data(), values.size());
    for (size_t at = 0; at < values.size(); at += 4)
      EXPECT_GE(std::count(values.begin() + ptrdiff_t(at), values.begin() + ptrdiff_t(at + 4), 0.0f), 2);
  }
}

TEST_F(Prune, AMaskOutlivesALaterQuantization) {
  if (!has_torch()) GTEST_SKIP() << "edgellm-torch is not built";
  pruned({"--method", "wanda", "--pattern", "2:4"});
  auto is_masked = [&](const char* name) {
    auto file = GgufFile::open(at(name));
    EXPECT_TRUE(file.ok()) << name;
    bool all = true;
    for (const char* matrix : {"blk.0.attn_q.weight", "blk.1.ffn_up.weight", "blk.3.ffn_down.weight"}) {
      const GgufTensor* tensor = file->find(matrix);
      EXPECT_LT(info(tensor->type).bits_per_value(), 16) << matrix;
      std::vector<float> values(tensor->n_values());
      info(tensor->type).decode(tensor->data.data(), values.data(), values.size());
      for (size_t at = 0; at < values.size(); at += 4)
        all =
            all && std::count(values.begin() + ptrdiff_t(at), values.begin() + ptrdiff_t(at + 4), 0.0f) >= 2;
    }
    EXPECT_EQ(all, file->metadata().contains("edgellm.pruned_weights")) << name;
    return all;
  };
  auto quantize = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"quantize", "out.gguf", "-o", "small.gguf"};
    all.insert(all.end(), more.begin(), more.end());
    Outcome outcome = run(all);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return is_masked("small.gguf");
  };
  EXPECT_TRUE(quantize({"--type", "Q4_0"}));
  EXPECT_TRUE(quantize({"--type", "Q4_0", "--method", "gptq", "--calibrate", "text.txt", "--windows", "8",
                        "--window-tokens", "64"}));
  expect_refused({"quantize", "out.gguf", "--type", "Q4_1", "-o", "refused.gguf"},
                 {"Q4_1", "zero", "--drop-mask"});
  EXPECT_FALSE(quantize({"--type", "Q4_1", "--drop-mask"}));
  Outcome fitted =
      run({"fit", "out.gguf", "--size", "150KB", "--calibrate", "text.txt", "-o", "fitted.gguf"});
  EXPECT_EQ(fitted.exit_code, 0) << fitted.err;
  EXPECT_TRUE(is_masked("fitted.gguf"));
}

TEST_F(Prune, NarrowerFeedForwardPartsAndCorrectedCutsRun) {
  if (!has_torch()) GTEST_SKIP() << "edgellm-torch is not built";
  write_model(at("model.gguf"), model_metadata([] {
                tiny::Shape shape = model_shape();
                shape.n_feed_forward = {512};
                return shape;
              }()),
              tiny::tensors_of([] {
                tiny::Shape shape = model_shape();
                shape.n_feed_forward = {512};
                return shape;
              }()));
  EXPECT_EQ(pruned({"--method", "ffn-width", "--fraction", "0.5"})["ffn_width"], 256);
  auto report = pruned({"--method", "replace-me", "--fraction", "0.25"});
  EXPECT_EQ(report["dropped_layers"].size(), 1u);
  EXPECT_LT(report["correction"]["left"], 1.0);
}

TEST_F(Prune, WhatCannotBeDoneIsNamed) {
  expect_usage_error({"prune", "model.gguf", "--method", "luck", "-o", "out.gguf"}, {"--method", "luck"});
  expect_refused({"prune", "model.gguf", "--method", "kl"}, {"--output"});
  expect_refused({"prune", "model.gguf", "--method", "kl", "--pattern", "2:4", "-o", "out.gguf"},
                 {"--pattern"});
  expect_refused({"prune", "model.gguf", "--method", "wanda", "--pattern", "4:2", "-o", "out.gguf"}, {"4:2"});
  expect_refused({"prune", "model.gguf", "--method", "block-influence", "--halves", "-o", "out.gguf"},
                 {"--halves"});
  expect_refused({"prune", "model.gguf", "--method", "kl", "--calibrate", "text.txt", "-o", "model.gguf"},
                 {"model.gguf"});
  std::ofstream(at("short.txt")) << "too short";
  expect_refused({"prune", "model.gguf", "--method", "kl", "--calibrate", "short.txt", "-o", "out.gguf"},
                 {"calibration text", "12"});
}

}  // namespace
}  // namespace edgellm::cli
