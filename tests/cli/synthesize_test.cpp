// synthesize: a folder that the other commands take, and what it refuses.
#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class Synthesize : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    write_model(at("model.gguf"));
  }
  static std::vector<std::string> synthesize(const std::string& output) {
    return {"synthesize",  "--like",     "smollm2-135m", "--layers", "1",
            "--tokenizer", "model.gguf", "-o",           output};
  }
};

TEST_F(Synthesize, WritesAFolderThatIsConvertedInspectedAndRun) {
  Outcome outcome = run(synthesize("folder"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("257 of its 257 tokens"), std::string::npos) << outcome.err;
  ASSERT_EQ(run({"convert", "folder", "-o", "random.gguf", "--type", "q8_0"}).exit_code, 0);
  outcome = run({"inspect", "random.gguf"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  outcome = run({"run", "random.gguf", "--prompt", "hello", "-n", "4"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(Synthesize, RefusesWhatItCannotWrite) {
  expect_usage_error({"synthesize", "-o", "folder"}, {"--like"});
  expect_usage_error({"synthesize", "--like", "llama-9", "-o", "folder"},
                     {"llama-9", "llama-2-7b", "qwen2.5-7b"});
  expect_usage_error({"synthesize", "--like", "llama-2-7b", "-o", "folder", "--layers", "0"}, {"--layers"});
  expect_usage_error({"synthesize", "--like", "llama-2-7b", "-o", "folder", "--type", "q4_0"}, {"--type"});
  auto command = synthesize("folder");
  command[4] = "31";
  expect_refused(command, {"31 layers", "it has 30"});
  fs::create_directory(at("full"));
  std::ofstream(at("full") / "file") << "kept";
  expect_refused(synthesize("full"), {"full", "exists"});
  expect_refused(synthesize("nowhere/folder"), {"nowhere/folder"});
  RunOptions small_disk;
  small_disk.most_file_bytes = 1 << 20;
  expect_refused(synthesize("folder"), {"File too large"}, small_disk);
  std::vector<std::string> no_tokenizer = {"synthesize", "--like", "smollm2-135m", "-o", "folder"};
  RunOptions no_models;
  no_models.environment["EDGELLM_MODELS"] = at("nothing").string();
  expect_refused(no_tokenizer, {"--tokenizer", "nothing"}, no_models);
}

TEST_F(Synthesize, AnInterruptLeavesNothing) {
  auto before = everything();
  RunOptions stop;
  stop.signal = SIGINT;
  stop.ready = [&] {
    for (const auto& entry : fs::directory_iterator(at("")))
      if (entry.path().string().find("folder.partial-") != std::string::npos) return true;
    return false;
  };
  auto command = synthesize("folder");
  command[4] = "30";
  Outcome outcome = run(command, stop);
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  expect_same(before, everything());
}

}  // namespace
}  // namespace edgellm::cli
