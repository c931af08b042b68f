// The program that runs models never loads LibTorch; what needs it is handed to edgellm-torch.
#include "tests/cli/edgellm_program.h"

namespace edgellm::cli {
namespace {

class Torch : public ProgramTest {
 protected:
  fs::path torch_program() const { return program_.parent_path() / "edgellm-torch"; }
  // The libraries that the loader would load, theirs included, a line each.
  std::string libraries() {
    RunOptions options;
    options.environment = {{"LD_TRACE_LOADED_OBJECTS", "1"}};
    return run({}, options).out;
  }
};

TEST_F(Torch, IsNoLibraryOfTheProgramThatRunsModels) {
  std::string loaded = libraries();
  ASSERT_NE(loaded.find("libc.so"), std::string::npos) << loaded;
  EXPECT_EQ(loaded.find("libtorch"), std::string::npos) << loaded;
  EXPECT_EQ(loaded.find("libc10"), std::string::npos) << loaded;
}

TEST_F(Torch, CommandsThatNeedItRunInTheProgramBeside) {
  if (!fs::exists(torch_program())) GTEST_SKIP() << "edgellm-torch is not built";
  Outcome outcome = run({"torch", "--threads", "1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("LibTorch ")) << outcome.out;
  EXPECT_NE(outcome.out.find("devices: cpu"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("threads: 1\n"), std::string::npos) << outcome.out;
}

TEST_F(Torch, TheProgramBesideSetsItselfUpWhenItIsStartedByHand) {
  if (!fs::exists(torch_program())) GTEST_SKIP() << "edgellm-torch is not built";
  for (const fs::path& program : {program_, torch_program()}) {
    program_ = program;
    RunOptions options;
    options.environment = {{"OMP_DISPLAY_ENV", "true"}};
    Outcome outcome = run({"torch"}, options);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("OMP_WAIT_POLICY = 'PASSIVE'"), std::string::npos) << outcome.err;
  }
}

TEST_F(Torch, WithoutTheProgramBesideTheErrorSaysHowToGetIt) {
  fs::path alone = elsewhere_ / "edgellm";
  fs::copy_file(program_, alone);
  program_ = alone;
  expect_refused({"torch"}, {"'edgellm torch'", "LibTorch", "libtorch-dev", "edgellm-torch",
                             "EDGELLM_TORCH=ON", "CMAKE_PREFIX_PATH"});
}

}  // namespace
}  // namespace edgellm::cli
