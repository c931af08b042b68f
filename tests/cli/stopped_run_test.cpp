// Runs that are killed, interrupted or out of disk at any of their stages: started again they end with the
// file that an undisturbed run gives.
#include <fmt/ranges.h>
#include <set>

#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

using Arguments = std::vector<std::string>;

// It has begun when a file with this in its path is there.
struct Stage {
  std::string file;
  int stopped_by = SIGKILL;
};

class StoppedRun : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    write_model(at("model.gguf"));
    std::ofstream(at("text.txt")) << some_text(1500);
  }

  bool has_torch() const { return fs::exists(program_.parent_path() / "edgellm-torch"); }

  static Arguments with_output(Arguments command, const std::string& output) {
    command.insert(command.end(), {"-o", output, "--threads", "1", "--calibrate", "text.txt"});
    return command;
  }
  static Arguments fit(const char* model, const char* size, const char* effort) {
    return {"fit", model, "--size", size, "--context", "64", "--effort", effort};
  }
  static Arguments quantize(const char* method, const Arguments& more = {}) {
    Arguments command = {"quantize",  "model.gguf", "--type",          "Q4_0", "--method", method,
                         "--windows", "24",         "--window-tokens", "32"};
    command.insert(command.end(), more.begin(), more.end());
    return command;
  }

  void expect_goes_on(const Arguments& command, const std::vector<Stage>& stages) {
    run_undisturbed(command);
    std::vector<std::string> missed;
    for (const Stage& stage : stages)
      if (!stop_at(stage)) missed.push_back(stage.file);
    EXPECT_LE(missed.size(), 1u) << fmt::format("not stopped at {}", fmt::join(missed, ", "));
    expect_ends_as_undisturbed();
  }

  void run_undisturbed(const Arguments& command) {
    Outcome whole = run(with_output(command, "whole.gguf"));
    ASSERT_EQ(whole.exit_code, 0) << whole.err;
    command_ = with_output(command, "out.gguf");
  }

  // Whether it was stopped where the stage had just begun. A stop that comes too late, at the stage before or
  // at this one, is tried again from an empty work folder.
  bool stop_at(const Stage& stage) {
    constexpr int kTries = 3;
    for (int n_tries = 0; n_tries < kTries; ++n_tries) {
      if (n_tries > 0) start_anew();
      if (has(stage.file)) continue;
      RunOptions stop;
      stop.signal = stage.stopped_by;
      stop.ready = [&] { return has(stage.file); };
      Outcome stopped = run(command_, stop);
      if (stopped.exit_code == 0) continue;
      if (stop.signal == SIGINT) {
        EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
        EXPECT_NE(stopped.err.find("edgellm: interrupted"), std::string::npos) << stopped.err;
      } else {
        EXPECT_EQ(stopped.ended_by, stop.signal) << stopped.err;
      }
      EXPECT_TRUE(!fs::exists(at("out.gguf")) || contents(at("out.gguf")) == contents(at("whole.gguf")))
          << "half a model at " << stage.file;
      return true;
    }
    return false;
  }

  void start_anew() {
    fs::remove_all(at("out.gguf.work"));
    for (const auto& [name, bytes] : everything())
      if (name.starts_with("out.gguf") || name.starts_with("edgellm-bench-")) fs::remove(at(name));
  }

  // Out of room for a file with this in its name.
  void expect_full_disk(rlim_t most_file_bytes, const std::string& file) {
    SCOPED_TRACE(file);
    RunOptions full;
    full.most_file_bytes = most_file_bytes;
    Outcome outcome = run(command_, full);
    EXPECT_EQ(outcome.exit_code, 1);
    ASSERT_EQ(outcome.messages().size(), 1u) << outcome.err;
    for (const std::string& word : {file, std::string("File too large"), std::string("start again"),
                                    std::string("it goes on from out.gguf.work")})
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << ": " << outcome.err;
    EXPECT_EQ(torn_files(), std::set<std::string>());
    EXPECT_FALSE(fs::exists(at("out.gguf")));
  }

  std::set<std::string> torn_files() const {
    std::set<std::string> names;
    for (const auto& [name, bytes] : everything())
      if (name.find(".partial-") != std::string::npos) names.insert(name);
    return names;
  }

  void expect_ends_as_undisturbed() {
    Outcome again = run(command_);
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_TRUE(contents(at("out.gguf")) == contents(at("whole.gguf")));
    EXPECT_FALSE(fs::exists(at("out.gguf.work")));
    EXPECT_EQ(torn_files(), std::set<std::string>());
  }

  Arguments command_;
};

TEST_F(StoppedRun, OfAFitGoesOn) {
  expect_goes_on(fit("model.gguf", "60%", "fast"), {{"/search.reference"},
                                                    {"/verify.reference"},
                                                    {"/token_embd.weight.Q8_0"},
                                                    {"/importance.gguf"},
                                                    {"/errors.json", SIGINT},
                                                    {"/search-"},
                                                    {"/judged-"},
                                                    {"/edgellm-bench-"}});
}

TEST_F(StoppedRun, OfAFitThatLeavesPartsOutGoesOn) {
  write_idle_model(at("idle.gguf"));
  expect_goes_on(fit("idle.gguf", "20%", "fast"),
                 {{"/parts-"}, {"/edited/"}, {"/model.gguf.partial-"}, {"/search-"}});
}

TEST_F(StoppedRun, OfAFitThatCompensatesAndTrainsGoesOn) {
  if (!has_torch()) GTEST_SKIP() << "edgellm-torch is not built";
  expect_goes_on(fit("model.gguf", "60%", "best"), {{"/sensitivity.jsonl"},
                                                    {"/judged-"},
                                                    {"/compensated-"},
                                                    {"/compensation.jsonl"},
                                                    {"/trained-"},
                                                    {"/teacher.logits"},
                                                    {"/training.state"},
                                                    {"/judged.gguf"}});
}

TEST_F(StoppedRun, OfGptqGoesOn) {
  if (!has_torch()) GTEST_SKIP() << "edgellm-torch is not built";
  expect_goes_on(quantize("gptq", {"--weigh-tokens"}), {{"/token.weights"},
                                                        {"/blk.0.attn_k.weight"},
                                                        {"/hidden-calibrated-1.bin"},
                                                        {"/blk.2.ffn_up.weight"},
                                                        {"/hidden-calibrated-4.bin"},
                                                        {"/token_embd.weight"},
                                                        {"/out.gguf.partial-"}});
}

TEST_F(StoppedRun, OfTrainingLayersAndThenAllGoesOn) {
  if (!has_torch()) GTEST_SKIP() << "edgellm-torch is not built";
  expect_goes_on(quantize("gptq", {"--train-layers", "3", "--train-epochs", "2"}),
                 {{"/blk.0.ffn_down.weight"},
                  {"/blk.0.ffn_norm.weight"},
                  {"/hidden-original-1.bin"},
                  {"/blk.2.attn_norm.weight"},
                  {"/tensors-to-train/token_embd.weight"},
                  {"/teacher.logits"},
                  {"/training.state"},
                  {"/trained-2/blk.3.ffn_up.weight"},
                  {"/out.gguf.partial-"}});
}

TEST_F(StoppedRun, OfAwqGoesOn) {
  if (!has_torch()) GTEST_SKIP() << "edgellm-torch is not built";
  expect_goes_on(quantize("awq", {"--train-epochs", "1"}), {{"/blk.0.ffn_down.weight"},
                                                            {"/blk.0.attn_norm.weight"},
                                                            {"/hidden-calibrated-2.bin"},
                                                            {"/blk.3.ffn_gate.weight"},
                                                            {"/token_embd.weight"},
                                                            {"/teacher.logits"},
                                                            {"/training.state"},
                                                            {"/out.gguf.partial-"}});
}

TEST_F(StoppedRun, OnAFullDiskSaysWhatToDoAndGoesOnWhereThereIsRoom) {
  if (!has_torch()) GTEST_SKIP() << "edgellm-torch is not built";
  run_undisturbed(quantize("gptq", {"--train-layers", "3", "--train-epochs", "2"}));
  // States in float have room, and nothing that is larger.
  const rlim_t n_most_bytes = rlim_t{24 * 32 * 64} * sizeof(float);
  expect_full_disk(5000, "blk.0.ffn_gate.weight");
  expect_full_disk(12000, "hidden-calibrated-1.bin");  // of a layer that has been trained
  expect_full_disk(n_most_bytes, "teacher.logits");
  ASSERT_TRUE(stop_at({"/training.state"}));
  expect_full_disk(n_most_bytes, "training.state");
  expect_ends_as_undisturbed();
}

}  // namespace
}  // namespace edgellm::cli
