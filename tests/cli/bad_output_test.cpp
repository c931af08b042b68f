// Outputs that cannot or must not be written: a full disk, a folder that does not exist, an input, a device.
#include <sys/stat.h>

#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

using Arguments = std::vector<std::string>;

class BadOutput : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    write_model(at("model.gguf"));
    std::ofstream(at("text.txt")) << some_text(1500);
  }

  // Every command that writes a model or an importance matrix.
  static std::vector<Arguments> commands(const std::string& output) {
    return {{"quantize", "model.gguf", "--type", "Q8_0", "-o", output},
            {"importance", "model.gguf", "--text", "text.txt", "--context", "64", "-o", output},
            {"fit", "model.gguf", "--size", "60%", "--calibrate", "text.txt", "-o", output}};
  }
  // Every command that writes figures.
  static std::vector<Arguments> commands_with_json(const std::string& json) {
    return {
        {"inspect", "model.gguf", "--json", json},
        {"run", "model.gguf", "--prompt", "hello", "-n", "4", "--json", json},
        {"bench", "model.gguf", "--prompt", "8", "--generate", "4", "--runs", "1", "--json", json},
        {"eval", "model.gguf", "--perplexity", "--text", "text.txt", "--context", "64", "--json", json},
        {"fit", "model.gguf", "--size", "60%", "--calibrate", "text.txt", "-o", "out.gguf", "--json", json}};
  }
};

TEST_F(BadOutput, FolderThatDoesNotExistIsNamed) {
  for (Arguments& command : commands("nowhere/out.gguf")) expect_refused(command, {"nowhere/out.gguf"});
  expect_refused({"convert", "model.gguf", "-o", "nowhere/out"}, {"nowhere/out"});
  for (Arguments& command : commands_with_json("nowhere/out.json"))
    expect_refused(command, {"nowhere/out.json"});
}

TEST_F(BadOutput, FolderOrDeviceIsNotReplaced) {
  fs::create_directory(at("folder"));
  std::ofstream(at("folder") / "kept") << "kept";
  for (const std::string output : {"folder", "/dev/null"}) {
    for (Arguments& command : commands(output)) expect_refused(command, {output});
    expect_refused({"convert", "model.gguf", "-o", output}, {output});
    for (Arguments& command : commands_with_json(output)) expect_refused(command, {output});
  }
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(BadOutput, InputIsNotWrittenOverUnderAnyName) {
  fs::create_symlink("model.gguf", at("soft.gguf"));
  fs::create_hard_link(at("model.gguf"), at("hard.gguf"));
  for (const std::string output : {"model.gguf", "./model.gguf", "soft.gguf", "hard.gguf"}) {
    for (Arguments& command : commands(output)) expect_refused(command, {output, "input"});
    expect_refused({"convert", "model.gguf", "-o", output}, {output});
    for (Arguments& command : commands_with_json(output)) expect_refused(command, {output, "input"});
  }
  expect_refused({"importance", "model.gguf", "--text", "text.txt", "-o", "text.txt"}, {"text.txt", "input"});
  expect_refused({"fit", "model.gguf", "--size", "60%", "--calibrate", "text.txt", "-o", "text.txt"},
                 {"text.txt", "input"});
  expect_refused({"eval", "model.gguf", "--perplexity", "--text", "text.txt", "--json", "text.txt"},
                 {"text.txt", "input"});
  expect_refused({"eval", "model.gguf", "--kl-reference", "model.gguf", "--text", "text.txt",
                  "--reference-cache", "model.gguf"},
                 {"model.gguf", "input"});
}

TEST_F(BadOutput, ReferenceCacheReplacesOnlyReferenceLogits) {
  Arguments eval = {"eval",      "model.gguf", "--kl-reference",    "model.gguf", "--text",    "text.txt",
                    "--context", "64",         "--reference-cache", "",           "--windows", "2"};
  for (const char* bytes : {"notes of mine", ""}) {
    std::ofstream(at("notes.txt"), std::ios::trunc) << bytes;
    eval[9] = "notes.txt";
    expect_refused(eval, {"notes.txt", "no file of reference logits"});
  }
  eval[9] = "cache.logits";
  EXPECT_EQ(run(eval).exit_code, 0);
  const std::string of_two = contents(at("cache.logits"));
  eval[11] = "3";
  EXPECT_EQ(run(eval).exit_code, 0);
  EXPECT_GT(fs::file_size(at("cache.logits")), of_two.size());
}

TEST_F(BadOutput, PartOfASplitInputIsNotWrittenOver) {
  std::vector<tiny::Tensor> tensors = tiny::tensors_of(model_shape());
  for (uint16_t part : {0, 1}) {
    Metadata m = part == 0 ? model_metadata() : Metadata();
    MetadataValue number = MetadataValue::of_uint32(part);
    m.set("split.no", number);
    m.set("split.count", MetadataValue::of_uint32(2));
    m.set("split.tensors.count", MetadataValue::of_uint32(uint32_t(tensors.size())));
    size_t half = tensors.size() / 2;
    std::vector<tiny::Tensor> own(tensors.begin() + (part ? ptrdiff_t(half) : 0),
                                  part ? tensors.end() : tensors.begin() + ptrdiff_t(half));
    write_model(at(part == 0 ? "s-00001-of-00002.gguf" : "s-00002-of-00002.gguf"), m, own);
  }
  expect_refused({"quantize", "s-00001-of-00002.gguf", "--type", "Q8_0", "-o", "s-00002-of-00002.gguf"},
                 {"s-00002-of-00002.gguf", "input"});
}

TEST_F(BadOutput, FullDiskLeavesNothing) {
  RunOptions full;
  full.most_file_bytes = 30000;
  for (Arguments& command : commands("out.gguf")) {
    bool is_importance = command[0] == "importance", is_fit = command[0] == "fit";
    full.most_file_bytes = is_importance ? 5000 : 30000;
    // A fit keeps what it has measured, for when there is room again.
    if (is_fit) continue;
    expect_refused(command, {"out.gguf", "File too large"}, full);
  }
  full.most_file_bytes = 30000;
  expect_refused({"convert", "model.gguf", "-o", "out"}, {"cannot write", "File too large"}, full);
  full.most_file_bytes = 3000;
  expect_refused({"inspect", "model.gguf", "--json", "out.json"}, {"out.json", "File too large"}, full);
  expect_refused(
      {"eval", "model.gguf", "--kl-reference", "model.gguf", "--text", "text.txt", "--context", "64"},
      {"cannot write", "File too large"}, full);
}

TEST_F(BadOutput, FitOnAFullDiskGoesOnWhenThereIsRoom) {
  Arguments fit = commands("out.gguf").back();
  RunOptions full;
  full.most_file_bytes = 30000;
  Outcome outcome = run(fit, full);
  EXPECT_EQ(outcome.exit_code, 1);
  ASSERT_EQ(outcome.messages().size(), 1u) << outcome.err;
  for (const char* word : {"File too large", "start again", "it goes on from out.gguf.work"})
    EXPECT_NE(outcome.err.find(word), std::string::npos) << outcome.err;
  for (const auto& [name, bytes] : everything()) {
    EXPECT_EQ(name.find(".partial-"), std::string::npos) << name;
    EXPECT_FALSE(name.starts_with("out.gguf") && !name.starts_with("out.gguf.work")) << name;
  }
  outcome = run(fit);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(at("out.gguf")));
}

TEST_F(BadOutput, StandardOutputThatIsFullIsAnError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "/dev/full is missing";
  RunOptions full;
  full.out_to = "/dev/full";
  expect_refused({"inspect", "model.gguf"}, {"cannot write"}, full);
}

TEST_F(BadOutput, FilesWithoutPermissionAreNamed) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read and write everything";
  fs::create_directory(at("closed"));
  fs::permissions(at("closed"), fs::perms::owner_read | fs::perms::owner_exec);
  for (Arguments& command : commands("closed/out.gguf")) expect_refused(command, {"closed/out.gguf"});
  std::ofstream(at("protected.gguf")) << "kept";
  fs::permissions(at("protected.gguf"), fs::perms::owner_read);
  for (Arguments& command : commands("protected.gguf")) expect_refused(command, {"protected.gguf"});
  fs::permissions(at("model.gguf"), fs::perms::none);
  for (Arguments& command : commands("out.gguf")) {
    Outcome outcome = run(command);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.err.find("model.gguf"), std::string::npos) << outcome.err;
  }
}

}  // namespace
}  // namespace edgellm::cli
