// quantize --method gptq, and the efforts of fit that use it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/model_file/gguf.h"
#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class Gptq : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (!fs::exists(program_.parent_path() / "edgellm-torch")) GTEST_SKIP() << "edgellm-torch is not built";
    write_model(at("model.gguf"));
    std::ofstream(at("text.txt")) << some_text(1500);
  }
  std::vector<std::string> quantize(std::vector<std::string> more) const {
    std::vector<std::string> command = {"quantize", "model.gguf",      "--type", "Q4_0", "--method",
                                        "gptq",     "--window-tokens", "32",     "-o",   "out.gguf"};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }
};

TEST_F(Gptq, WritesAModelOfTheTypesAskedAndTellsTheErrorOfEachTensor) {
  Outcome outcome = run(quantize({"--calibrate", "text.txt", "--windows", "16", "--json", "errors.json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("of what rounding to nearest gives"), std::string::npos) << outcome.err;
  EXPECT_EQ(run({"run", "out.gguf", "--prompt", "hello", "-n", "4"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(at("out.gguf.work")));

  ASSERT_EQ(run({"quantize", "model.gguf", "--type", "Q4_0", "-o", "nearest.gguf"}).exit_code, 0);
  EXPECT_EQ(fs::file_size(at("out.gguf")), fs::file_size(at("nearest.gguf")));
  auto report = nlohmann::json::parse(contents(at("errors.json")));
  EXPECT_EQ(report["method"], "gptq");
  EXPECT_EQ(report["calibration"]["windows"], 16);
  EXPECT_LT(report["mean_error_ratio"], 1.0);
  EXPECT_FALSE(report["tensors"].empty());
  for (const auto& tensor : report["tensors"])
    EXPECT_LE(tensor["output_error"], tensor["output_error_nearest"]) << tensor;
}

TEST_F(Gptq, TrainsOnTheGridWhereAskedTo) {
  Outcome outcome = run(quantize(
      {"--calibrate", "text.txt", "--windows", "16", "--train-epochs", "2", "--json", "errors.json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("training: KL on text held back"), std::string::npos) << outcome.err;
  EXPECT_EQ(run({"run", "out.gguf", "--prompt", "hello", "-n", "4"}).exit_code, 0);
  auto report = nlohmann::json::parse(contents(at("errors.json")));
  EXPECT_EQ(report["training"]["epochs"].size(), 2u);
  EXPECT_LE(report["training"]["held_kl"], report["training"]["held_kl_before"]);
}

TEST_F(Gptq, TrainsLayersWhereAskedToAndThenAllTogether) {
  Outcome outcome = run(quantize({"--calibrate", "text.txt", "--windows", "24", "--train-layers", "3",
                                  "--train-epochs", "1", "--json", "errors.json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("layers trained: "), std::string::npos) << outcome.err;
  EXPECT_EQ(run({"run", "out.gguf", "--prompt", "hello", "-n", "4"}).exit_code, 0);
  auto report = nlohmann::json::parse(contents(at("errors.json")));
  ASSERT_FALSE(report["layers"].empty());
  for (const auto& layer : report["layers"]) {
    EXPECT_LE(layer["held_error"], layer["held_error_before"]) << layer;
    EXPECT_EQ(layer["changed"].empty(), layer["best_epoch"] == 0) << layer;
  }
}

TEST_F(Gptq, SaysWhereTextTellsTooLittleForTheDampingAskedFor) {
  const auto command = quantize({"--calibrate", "text.txt", "--windows", "8", "--json", "errors.json"});
  Outcome outcome = run(command);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err.find("positive definite"), std::string::npos) << outcome.err;
  auto report = nlohmann::json::parse(contents(at("errors.json")));
  for (const auto& tensor : report["tensors"]) {
    EXPECT_GT(tensor["damping"], 0) << tensor;
    EXPECT_FALSE(tensor["damping_raised"].get<bool>()) << tensor;
  }
  auto little = command;
  little.insert(little.end(), {"--damping", "1e-6"});
  outcome = run(little);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("not positive definite"), std::string::npos) << outcome.err;
  size_t n_raised = 0;
  report = nlohmann::json::parse(contents(at("errors.json")));
  for (const auto& tensor : report["tensors"]) {
    n_raised += tensor["damping_raised"].get<bool>();
    if (tensor["name"] == "token_embd.weight")
      continue;  // it is also looked up, and damped more whatever is asked
    EXPECT_EQ(tensor["damping_raised"].get<bool>(), tensor["damping"].get<double>() > 1e-6) << tensor;
  }
  EXPECT_GT(n_raised, 0u);
}

TEST_F(Gptq, WritesTheNormsOfTrainedLayers) {
  Outcome outcome = run(quantize(
      {"--calibrate", "text.txt", "--windows", "24", "--train-layers", "3", "--json", "errors.json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  auto report = nlohmann::json::parse(contents(at("errors.json")));
  auto before = GgufFile::open(at("model.gguf")), after = GgufFile::open(at("out.gguf"));
  ASSERT_TRUE(before.ok() && after.ok());
  size_t n_changed = 0;
  for (const auto& layer : report["layers"])
    for (const std::string name : layer["changed"]) {
      ++n_changed;
      EXPECT_FALSE(std::ranges::equal(before->find(name)->data, after->find(name)->data)) << name;
    }
  EXPECT_GT(n_changed, 0u);
}

TEST_F(Gptq, RefusesTextThatIsTooShortOrMissingAndOptionsWithoutTheMethod) {
  std::ofstream(at("short.txt")) << "Too short.";
  expect_refused(quantize({"--calibrate", "short.txt"}), {"windows of 32 tokens", "at least 8"});
  expect_refused(quantize({"--calibrate", "gone.txt"}), {"gone.txt"});
  expect_refused(quantize({"--calibrate", "text.txt", "--calibration-memory", "10KB"}),
                 {"bytes of memory are not enough", "would do"});
  expect_refused(quantize({"--calibrate", "text.txt", "--device", "toaster"}), {"device", "toaster"});
  expect_refused({"fit", "model.gguf", "--size", "90%", "--device", "cuda", "-o", "out.gguf"},
                 {"--device", "--effort balanced"});
  for (std::vector<std::string> option : {std::vector<std::string>{"--calibrate", "text.txt"},
                                          {"--damping", "0.1"},
                                          {"--json", "e.json"},
                                          {"--windows", "16"},
                                          {"--window-tokens", "32"},
                                          {"--work", "w"},
                                          {"--train-layers", "1"},
                                          {"--train-epochs", "1"},
                                          {"--calibration-memory", "1GB"}}) {
    std::vector<std::string> command = {"quantize", "model.gguf", "--type", "Q4_0", "-o", "out.gguf"};
    command.insert(command.end(), option.begin(), option.end());
    expect_refused(command, {option[0], "--method gptq"});
  }
}

TEST_F(Gptq, FitOfBestEffortAlsoJudgesItTrained) {
  Outcome outcome = run({"fit", "model.gguf", "--size", "60%", "--calibrate", "text.txt", "--context", "64",
                         "--effort", "best", "-o", "out.gguf"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  auto report = nlohmann::json::parse(contents(at("out.gguf.json")));
  ASSERT_TRUE(report.contains("training"));
  EXPECT_LE(report["training"]["held_kl"], report["training"]["held_kl_before"]);
  const auto layers = report["compensation"]["layers"];
  ASSERT_EQ(layers.size(), 4u);
  EXPECT_NE(outcome.out.find("layers trained: "), std::string::npos) << outcome.out;
  // What judges the layers and the whole is the same, and new to the rounding.
  const int n_windows =
      report["calibration"]["windows"].get<int>() - report["calibration"]["verify_windows"].get<int>();
  const int n_compressed = std::min(n_windows, 64);
  EXPECT_EQ(report["compensation"]["tokens"].get<int>() / report["calibration"]["window_tokens"].get<int>(),
            n_compressed - std::max(n_compressed / 8, 2));
  double least = 1e300;
  bool is_trained = false;
  for (const auto& plan : report["verified"]) {
    least = std::min(least, plan["mean_kl"].get<double>());
    is_trained |= plan["name"].get<std::string>().ends_with(", trained");
  }
  EXPECT_EQ(is_trained, report["training"]["best_epoch"] != 0);
  EXPECT_FALSE(report["why"].empty());
  EXPECT_NE(outcome.out.find("this was written"), std::string::npos) << outcome.out;
  const auto& talk = report["generation"];
  EXPECT_LE(talk["collapsed_plans"].size(), report["verified"].size());
  if (talk["collapsed"].get<bool>()) {
    EXPECT_EQ(talk["collapsed_plans"].size(), report["verified"].size()) << "all were tried";
  }
  if (talk["collapsed"].get<bool>() || talk["collapsed_plans"].empty()) {
    EXPECT_EQ(report["after"]["mean_kl"], least);
    EXPECT_EQ(report["chosen"], report["verified"][0]["name"]);
  }
}

TEST_F(Gptq, FitOfBalancedEffortJudgesTheBestPlanWithAndWithoutIt) {
  Outcome outcome = run({"fit", "model.gguf", "--size", "60%", "--calibrate", "text.txt", "--context", "64",
                         "--effort", "balanced", "-o", "out.gguf"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  auto report = nlohmann::json::parse(contents(at("out.gguf.json")));
  std::map<std::string, double> kl;
  for (const auto& plan : report["verified"]) kl[plan["name"]] = plan["mean_kl"];
  double least = 1e300;
  bool is_compensated = false;
  for (const auto& [name, value] : kl) {
    least = std::min(least, value);
    is_compensated |= name.ends_with(", compensated");
  }
  EXPECT_TRUE(is_compensated) << report["verified"];
  const auto& talk = report["generation"];
  EXPECT_LE(talk["collapsed_plans"].size(), report["verified"].size());
  if (talk["collapsed"].get<bool>()) {
    EXPECT_EQ(talk["collapsed_plans"].size(), report["verified"].size()) << "all were tried";
  }
  if (talk["collapsed"].get<bool>() || talk["collapsed_plans"].empty()) {
    EXPECT_EQ(report["after"]["mean_kl"], least);
    EXPECT_EQ(report["chosen"], report["verified"][0]["name"]);
  }
  EXPECT_FALSE(report["compensation"]["tensors"].empty());
  EXPECT_NE(outcome.out.find("compensated"), std::string::npos) << outcome.out;
}

TEST_F(Gptq, FitOfBestEffortCompensatesAndTrainsWhatIsLeftOfTheLayers) {
  write_idle_model(at("idle.gguf"));
  Outcome outcome = run({"fit", "idle.gguf", "--size", "25%", "--calibrate", "text.txt", "--context", "64",
                         "--effort", "best", "-o", "out.gguf"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  auto report = nlohmann::json::parse(contents(at("out.gguf.json")));
  EXPECT_FALSE(report["dropped_attention"].empty());
  ASSERT_TRUE(report.contains("training"));
  // By the original's names.
  std::set<std::string> planned;
  for (const auto& tensor : report["tensors"]) planned.insert(tensor["name"]);
  EXPECT_FALSE(report["compensation"]["tensors"].empty());
  for (const auto& tensor : report["compensation"]["tensors"])
    EXPECT_TRUE(planned.contains(tensor["name"])) << tensor;
  EXPECT_LE(report["training"]["held_kl"], report["training"]["held_kl_before"]);
  for (const auto& layer : report["compensation"]["layers"]) {
    EXPECT_FALSE(std::ranges::count(report["dropped_layers"], layer["layer"])) << layer;
    for (const auto& name : layer["changed"])
      EXPECT_TRUE(name.get<std::string>().starts_with(fmt::format("blk.{}.", layer["layer"].get<int>())))
          << layer;
  }
  EXPECT_FALSE(report["compensation"]["layers"].empty());
  EXPECT_EQ(run({"run", "out.gguf", "--prompt", "hello", "-n", "4"}).exit_code, 0);
}

TEST_F(Gptq, AwqScalesThenRoundsAndTrainsWhereAskedTo) {
  auto norms_of = [&](const char* name) {
    GgufFile file = GgufFile::open(at(name)).value();
    std::vector<float> all;
    for (const char* norm : {"blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "blk.3.ffn_norm.weight"}) {
      const auto data = file.find(norm)->data;
      const size_t n = all.size();
      all.resize(n + data.size() / sizeof(float));
      std::memcpy(all.data() + n, data.data(), data.size());
    }
    return all;
  };
  auto difference = [](const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0, of = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += std::pow(double(a[i]) - b[i], 2), of += double(b[i]) * b[i];
    return std::sqrt(sum / of);
  };
  ASSERT_EQ(run({"quantize", "model.gguf", "--type", "Q4_0", "--method", "awq", "--window-tokens", "32",
                 "--windows", "16", "--calibrate", "text.txt", "-o", "scaled.gguf"})
                .exit_code,
            0);
  const auto original = norms_of("model.gguf"), scaled = norms_of("scaled.gguf");
  EXPECT_GT(difference(scaled, original), 0);
  Outcome outcome = run({"quantize", "model.gguf", "--type", "Q4_0", "--method", "awq", "--window-tokens",
                         "32", "--windows", "16", "--calibrate", "text.txt", "--train-epochs", "1", "-o",
                         "out.gguf", "--json", "report.json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("AWQ: output errors of the matrices are "), std::string::npos) << outcome.err;
  auto report = nlohmann::json::parse(contents(at("report.json")));
  EXPECT_EQ(report["method"], "awq");
  EXPECT_LE(report["mean_error_ratio"].get<double>(), 1.02);
  EXPECT_FALSE(report["tensors"].empty());
  // What is trained are the scaled norms.
  EXPECT_LT(difference(norms_of("out.gguf"), scaled), 0.5 * difference(scaled, original));
  EXPECT_EQ(run({"run", "out.gguf", "--prompt", "hello", "-n", "4"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(at("out.gguf.work")));
  for (const char* option : {"--weigh-tokens", "--train-layers=1", "--damping=0.1", "--device=cuda"})
    expect_refused({"quantize", "model.gguf", "--type", "Q4_0", "--method", "awq", "--calibrate", "text.txt",
                    option, "-o", "out.gguf"},
                   {std::string(option).substr(0, std::string(option).find('=')), "--method gptq"});
}

// The inputs of a down matrix that stands for nothing are all zero.
TEST_F(Gptq, TakesAModelWithoutAFeedForwardPart) {
  ASSERT_EQ(run({"prune", "model.gguf", "--method", "kl", "--halves", "--fraction", "0.3", "--calibrate",
                 "text.txt", "-o", "pruned.gguf", "--json", "pruned.json"})
                .exit_code,
            0);
  ASSERT_FALSE(nlohmann::json::parse(contents(at("pruned.json")))["dropped_ffn"].empty());
  Outcome outcome = run({"quantize", "pruned.gguf", "--type", "Q4_0", "--method", "gptq", "--window-tokens",
                         "32", "--windows", "16", "--calibrate", "text.txt", "-o", "out.gguf"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(run({"run", "out.gguf", "--prompt", "hello", "-n", "4"}).exit_code, 0);
}

}  // namespace
}  // namespace edgellm::cli
