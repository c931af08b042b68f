// Ctrl-C and kills: nothing half-written, exit code 130, and the next run does the whole work.
#include <fmt/ranges.h>

#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class Interrupt : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    write_model(at("model.gguf"));
    std::ofstream(at("text.txt")) << some_text(1500);
  }

  bool has(const std::string& part_of_name) const {
    std::error_code code;
    for (fs::recursive_directory_iterator entry(at(""), code), end; entry != end; entry.increment(code)) {
      if (code) return false;
      if (entry->path().string().find(part_of_name) != std::string::npos) return true;
    }
    return false;
  }
  static void expect_interrupted(const Outcome& outcome) {
    EXPECT_EQ(outcome.exit_code, 130) << outcome.err << "ended by signal " << outcome.ended_by;
    EXPECT_NE(outcome.err.find("edgellm: interrupted"), std::string::npos) << outcome.err;
  }
};

TEST_F(Interrupt, EndsAnAnswer) {
  auto before = everything();
  RunOptions stop;
  stop.signal = SIGINT;
  stop.ready = [&] { return !said_so_far().empty(); };
  expect_interrupted(
      run({"run", "model.gguf", "--prompt", "hello", "--ignore-eos", "--context", "1000000"}, stop));
  expect_same(before, everything());
}

TEST_F(Interrupt, LeavesNoHalfOfAQuantizedModel) {
  // Large enough that the search for scales takes far longer than the signal.
  tiny::Shape shape = model_shape();
  std::vector<tiny::Tensor> tensors = tiny::tensors_of(shape);
  for (tiny::Tensor& tensor : tensors) {
    if (tensor.declaration.name != "token_embd.weight") continue;
    std::vector<std::byte> once = tensor.data;
    for (int i = 1; i < 2000; ++i) tensor.data.insert(tensor.data.end(), once.begin(), once.end());
    tensor.declaration.dimensions[1] *= 2000;
  }
  write_model(at("large.gguf"), model_metadata(), tensors);
  auto before = everything();
  RunOptions stop;
  stop.signal = SIGINT;
  stop.ready = [&] { return has("out.gguf.partial-"); };
  expect_interrupted(
      run({"quantize", "large.gguf", "--type", "Q5_1", "--threads", "1", "-o", "out.gguf"}, stop));
  expect_same(before, everything());
  Outcome again = run({"quantize", "model.gguf", "--type", "Q5_1", "-o", "out.gguf"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
}

// Killed or interrupted at several stages, a fit ends with the file that an undisturbed one gives.
class InterruptedFit : public Interrupt {
 protected:
  // A stage begins when a file with this in its path is there.
  void expect_goes_on(const std::string& model, const char* size, const char* effort,
                      const std::vector<std::string>& stages) {
    std::vector<std::string> fit = {"fit",       model, "--size",     size,        "--calibrate",
                                    "text.txt",  "-o",  "whole.gguf", "--context", "64",
                                    "--threads", "1",   "--effort",   effort};
    ASSERT_EQ(run(fit).exit_code, 0);
    fit[7] = "out.gguf";
    std::vector<std::string> missed;
    for (const std::string& stage : stages) {
      RunOptions stop;
      stop.signal = stage == "errors.json" ? SIGINT : SIGKILL;
      stop.ready = [&] { return has("out.gguf.work") && has(stage); };
      Outcome stopped = run(fit, stop);
      if (stopped.exit_code == 0) {  // it was done before the signal came
        missed.push_back(stage);
        fs::remove(at("out.gguf"));
        continue;
      }
      if (stop.signal == SIGINT) expect_interrupted(stopped);
      EXPECT_FALSE(fs::exists(at("out.gguf"))) << "half a fit at " << stage;
    }
    EXPECT_LE(missed.size(), 1u) << fmt::format("not stopped at {}", fmt::join(missed, ", "));
    Outcome again = run(fit);
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_TRUE(contents(at("out.gguf")) == contents(at("whole.gguf")));
    EXPECT_FALSE(fs::exists(at("out.gguf.work")));
  }
};

TEST_F(InterruptedFit, GoesOnWhereItWasStopped) {
  expect_goes_on("model.gguf", "60%", "fast", {"verify.reference", "errors.json", "search-"});
}

TEST_F(InterruptedFit, GoesOnWhereItWasStoppedWhileItLeftPartsOut) {
  write_idle_model(at("idle.gguf"));
  expect_goes_on("idle.gguf", "20%", "fast", {"/parts-", "/edited/", "/model.gguf", "/search-"});
}

TEST_F(InterruptedFit, GoesOnWhereItWasStoppedWhileItCompensatedAndTrained) {
  if (!fs::exists(program_.parent_path() / "edgellm-torch")) GTEST_SKIP() << "edgellm-torch is not built";
  expect_goes_on("model.gguf", "60%", "best",
                 {"sensitivity.jsonl", "judged-", "/compensated-", "compensation.jsonl", "/trained-",
                  "teacher.logits", "training.state", "judged.gguf"});
}

}  // namespace
}  // namespace edgellm::cli
