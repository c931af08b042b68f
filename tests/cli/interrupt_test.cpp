// Ctrl-C: nothing half-written, exit code 130, and the next run does the whole work.
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

}  // namespace
}  // namespace edgellm::cli
