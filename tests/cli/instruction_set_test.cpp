// EDGELLM_ISA forces a kernel table by name, and a name that is none of this CPU's is an error.
#include <nlohmann/json.hpp>

#include "runtime/kernels/kernels.h"
#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class InstructionSet : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (HasFatalFailure()) return;
    write_model(at("model.gguf"));
    std::ofstream(at("text.txt")) << some_text(400);
  }
  static RunOptions with(const std::string& isa) {
    RunOptions options;
    options.environment["EDGELLM_ISA"] = isa;
    return options;
  }
};

TEST_F(InstructionSet, EveryTableOfThisCpuCanBeForced) {
  for (const Kernels* table : usable_kernels()) {
    Outcome outcome = run(
        {"bench", "model.gguf", "--prompt", "8", "--generate", "4", "--runs", "1", "--json", "bench.json"},
        with(table->name));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(nlohmann::json::parse(contents(at("bench.json")))["machine"]["isa"], table->name);
    outcome = run({"eval", "model.gguf", "--perplexity", "--text", "text.txt", "--context", "64"},
                  with(table->name));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  }
}

TEST_F(InstructionSet, NameThatIsNoneOfThisCpuIsRefusedWithThoseThatAre) {
  std::vector<std::string> words = {"EDGELLM_ISA", "avx1024"};
  for (const Kernels* table : usable_kernels()) words.push_back(table->name);
  expect_refused({"run", "model.gguf", "--prompt", "hello", "-n", "4"}, words, with("avx1024"));
  expect_refused({"bench", "model.gguf", "--prompt", "8", "--generate", "4", "--runs", "1"}, words,
                 with("avx1024"));
  expect_refused({"eval", "model.gguf", "--perplexity", "--text", "text.txt", "--context", "64"}, words,
                 with("avx1024"));
  // An empty one is as good as none.
  EXPECT_EQ(run({"run", "model.gguf", "--prompt", "hello", "-n", "4"}, with("")).exit_code, 0);
}

}  // namespace
}  // namespace edgellm::cli
