// Models that are missing, cut short or wrong: every command says what is wrong in one line and touches
// nothing.
#include <cstring>
#include <limits>

#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

using Arguments = std::vector<std::string>;

class BadModel : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    std::ofstream(at("text.txt")) << some_text(1500);
  }

  // Every command that reads a model.
  static std::vector<Arguments> commands(const std::string& model) {
    std::vector<Arguments> all = commands_that_run(model);
    all.push_back({"inspect", model});
    all.push_back({"quantize", model, "--type", "Q8_0", "-o", "out.gguf"});
    all.push_back({"convert", model, "-o", "out"});
    return all;
  }
  static std::vector<Arguments> commands_that_run(const std::string& model) {
    std::vector<Arguments> all = commands_with_text(model);
    all.push_back({"bench", model, "--prompt", "8", "--generate", "4", "--runs", "1"});
    return all;
  }
  static std::vector<Arguments> commands_with_text(const std::string& model) {
    return {{"run", model, "--prompt", "hello", "-n", "4"},
            {"chat", model},
            {"eval", model, "--perplexity", "--text", "text.txt", "--context", "64"},
            {"importance", model, "--text", "text.txt", "--context", "64", "-o", "out.gguf"},
            {"fit", model, "--size", "60%", "--calibrate", "text.txt", "-o", "out.gguf"}};
  }
};

TEST_F(BadModel, MissingFileIsNamedByEveryCommand) {
  for (const Arguments& command : commands("nowhere.gguf")) expect_refused(command, {"nowhere.gguf"});
}

TEST_F(BadModel, EmptyFileIsNamedByEveryCommand) {
  std::ofstream(at("empty.gguf"));
  for (const Arguments& command : commands("empty.gguf")) expect_refused(command, {"empty.gguf", "empty"});
}

TEST_F(BadModel, FolderWithoutAModelIsNamedByEveryCommand) {
  fs::create_directory(at("folder"));
  for (const Arguments& command : commands("folder")) expect_refused(command, {"folder"});
}

TEST_F(BadModel, TruncatedFileIsRefusedByEveryCommand) {
  write_model(at("whole.gguf"));
  std::string whole = contents(at("whole.gguf"));
  fs::remove(at("whole.gguf"));
  // In the magic number, the counts, the metadata, the tensor table and the data.
  for (size_t n : {size_t{3}, size_t{17}, size_t{900}, size_t{6000}, whole.size() / 2, whole.size() - 100}) {
    std::ofstream(at("cut.gguf"), std::ios::binary | std::ios::trunc) << whole.substr(0, n);
    for (const Arguments& command : commands("cut.gguf")) expect_refused(command, {"cut.gguf"});
  }
}

TEST_F(BadModel, FileThatIsNoModelIsRefusedByEveryCommand) {
  for (const Arguments& command : commands("text.txt")) expect_refused(command, {"text.txt", "no GGUF file"});
}

TEST_F(BadModel, UnknownArchitectureIsNamed) {
  Metadata m = model_metadata();
  m.set("general.architecture", MetadataValue::of_string("marvellous"));
  write_model(at("model.gguf"), m);
  for (const Arguments& command : commands("model.gguf")) expect_refused(command, {"marvellous"});
  // Looking into such a file is still possible, though inspect ends with the error too.
  std::string inspected =
      run({"inspect", "model.gguf", "--metadata", "--tensors", "--json", "inspect.json"}).out;
  for (const std::string shown : {"marvellous", "general.name", "blk.3.ffn_down.weight"})
    EXPECT_NE(inspected.find(shown), std::string::npos) << inspected;
  EXPECT_NE(contents(at("inspect.json")).find("blk.3.ffn_down.weight"), std::string::npos);
}

TEST_F(BadModel, UnknownTensorTypeIsNamedWithItsTensor) {
  write_model(at("model.gguf"));
  std::string bytes = contents(at("model.gguf"));
  std::string name = "blk.1.attn_q.weight";
  size_t type = bytes.find(name) + name.size() + 4 + 2 * 8;
  bytes[type] = 99;
  std::ofstream(at("model.gguf"), std::ios::binary | std::ios::trunc) << bytes;
  for (const Arguments& command : commands("model.gguf"))
    expect_refused(command, {"model.gguf", name, "unknown type 99"});
}

TEST_F(BadModel, TokenizerWithoutVocabularyIsRefused) {
  Metadata m = model_metadata();
  m.remove("tokenizer.ggml.tokens");
  write_model(at("model.gguf"), m);
  for (const Arguments& command : commands_with_text("model.gguf"))
    expect_refused(command, {"tokenizer.ggml.tokens"});
  m.set("tokenizer.ggml.tokens", MetadataValue::of_strings({}));
  write_model(at("model.gguf"), m);
  for (const Arguments& command : commands_with_text("model.gguf"))
    expect_refused(command, {"tokenizer.ggml.tokens"});
}

TEST_F(BadModel, VocabularyWiderThanTheEmbeddingIsRefused) {
  tiny::Shape shape = model_shape();
  shape.n_vocabulary = 100;
  write_model(at("model.gguf"), model_metadata(shape), tiny::tensors_of(shape));
  for (const Arguments& command : commands_with_text("model.gguf")) expect_refused(command, {"100", "257"});
}

TEST_F(BadModel, MissingTensorIsNamed) {
  std::vector<tiny::Tensor> tensors = tiny::tensors_of(model_shape());
  std::erase_if(tensors, [](const tiny::Tensor& t) { return t.declaration.name == "blk.2.ffn_up.weight"; });
  write_model(at("model.gguf"), model_metadata(), tensors);
  for (const Arguments& command : commands_that_run("model.gguf"))
    expect_refused(command, {"blk.2.ffn_up.weight"});
}

TEST_F(BadModel, WeightThatIsNotFiniteIsRefusedWithItsTensor) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    for (const char* name : {"blk.3.ffn_down.weight", "output_norm.weight"}) {
      std::vector<tiny::Tensor> tensors = tiny::tensors_of(model_shape());
      for (tiny::Tensor& tensor : tensors) {
        if (tensor.declaration.name != name) continue;
        // The last value of all: one that no sample of the rows is sure to hold.
        uint16_t half = half_from_float(bad);
        bool is_half = tensor.declaration.type == TensorType::F16;
        size_t n_bytes = is_half ? sizeof half : sizeof bad;
        std::memcpy(tensor.data.data() + tensor.data.size() - n_bytes,
                    is_half ? static_cast<const void*>(&half) : &bad, n_bytes);
      }
      write_model(at("model.gguf"), model_metadata(), tensors);
      for (const Arguments& command :
           {Arguments{"quantize", "model.gguf", "--type", "Q4_K_M", "-o", "out.gguf"},
            Arguments{"convert", "model.gguf", "-o", "out"},
            Arguments{"fit", "model.gguf", "--size", "60%", "--calibrate", "text.txt", "-o", "out.gguf"},
            Arguments{"fit", "model.gguf", "--size", "60%", "-o", "out.gguf"}})
        expect_refused(command, {name});
    }
}

TEST_F(BadModel, SafetensorsHeaderThatLiesIsRefused) {
  write_model(at("model.gguf"));
  ASSERT_EQ(run({"convert", "model.gguf", "-o", "folder"}).exit_code, 0);
  fs::remove(at("model.gguf"));
  fs::path path = at("folder") / "model.safetensors";
  const std::string good = contents(path);
  auto with = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    size_t found = bytes.find(from);
    EXPECT_NE(found, std::string::npos) << from;
    EXPECT_EQ(from.size(), to.size());
    return found == std::string::npos ? bytes : bytes.replace(found, to.size(), to);
  };
  std::string huge = good, cut = good.substr(0, good.size() - 1000);
  std::memset(huge.data(), 0x7f, 8);  // the header's length
  for (const std::string& bytes : {huge, cut, with("[257,64]", "[957,64]"), with("\"F16\"", "\"F99\""),
                                   with("data_offsets", "data_OFFSETS"), with("{\"", "{{"),
                                   std::string("\x08\0\0\0\0\0\0\0{}", 10), std::string()}) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    expect_refused({"convert", "folder", "-o", "out.gguf"}, {"model.safetensors"});
    expect_refused({"inspect", "folder"}, {"model.safetensors"});
  }
}

TEST_F(BadModel, ImportanceMatrixThatIsNoneIsRefused) {
  write_model(at("model.gguf"));
  expect_refused({"quantize", "model.gguf", "--type", "Q4_0", "--importance", "model.gguf", "-o", "out.gguf"},
                 {"model.gguf", "importance matrix"});
  expect_refused({"quantize", "model.gguf", "--type", "Q4_0", "--importance", "nowhere", "-o", "out.gguf"},
                 {"nowhere"});
}

TEST_F(BadModel, TextThatIsMissingOrTooShortIsNamed) {
  write_model(at("model.gguf"));
  std::ofstream(at("short.txt")) << "Too short.";
  for (const std::string text : {"nowhere.txt", "short.txt"}) {
    std::string wanted = text == "short.txt" ? "text" : text;
    expect_refused({"eval", "model.gguf", "--perplexity", "--text", text}, {wanted});
    expect_refused({"importance", "model.gguf", "--text", text, "-o", "out.gguf"}, {wanted});
    expect_refused({"fit", "model.gguf", "--size", "60%", "--calibrate", text, "-o", "out.gguf"}, {wanted});
  }
  expect_refused({"run", "model.gguf", "--file", "nowhere.txt"}, {"nowhere.txt"});
}

TEST_F(BadModel, TextThatIsNoneIsNamed) {
  write_model(at("model.gguf"));
  std::ofstream(at("empty.txt"));
  std::ofstream(at("latin1.txt")) << "caf\xE9 au lait";
  std::ofstream(at("list.json")) << "{}";
  std::ofstream(at("record.jsonl")) << "{\"text\": \"fine\"}\n{\"answer\": 42}\n";
  for (const auto& [text, wanted] :
       {std::pair<std::string, std::string>{"empty.txt", "empty.txt: it is empty"},
        {"model.gguf", "zero byte"},
        {"latin1.txt", "byte 3 is not UTF-8"},
        {"list.json", "JSON array"},
        {"record.jsonl", "record.jsonl:2"},
        {"text.txt=0", "FILE=WEIGHT"}}) {
    expect_refused({"importance", "model.gguf", "--text", "text.txt", "--text", text, "-o", "out.gguf"},
                   {wanted});
    expect_refused({"fit", "model.gguf", "--size", "60%", "--calibrate", "text.txt", "--calibrate", text,
                    "-o", "out.gguf"},
                   {wanted});
    expect_refused({"prune", "model.gguf", "--method", "kl", "--calibrate", "text.txt", "--calibrate", text,
                    "-o", "out.gguf"},
                   {wanted});
  }
}

TEST_F(BadModel, PromptThatIsEmptyOrTooLongIsRefused) {
  write_model(at("model.gguf"));
  expect_refused({"run", "model.gguf", "--prompt", ""}, {"prompt", "empty"});
  expect_refused({"run", "model.gguf", "--file", "text.txt", "--context", "64"}, {"prompt", "64"});
}

TEST_F(BadModel, BudgetThatNoPlanMeetsIsToldTheSmallestPossible) {
  write_model(at("model.gguf"));
  for (bool keep_layers : {true, false}) {
    Arguments fit = {"fit", "model.gguf", "--calibrate", "text.txt", "-o", "out.gguf", "--context", "64"};
    if (keep_layers) fit.push_back("--keep-layers");
    for (const char* option : {"--size", "--memory"}) {
      Arguments too_little = fit;
      too_little.insert(too_little.end(), {option, "20kB"});
      expect_refused(too_little, {"smallest possible", " bytes)"});
      std::string said = run(too_little).err;
      std::smatch smallest;
      ASSERT_TRUE(std::regex_search(said, smallest, std::regex(R"((\d+) bytes\))"))) << said;
      Arguments just_less = fit;
      just_less.insert(just_less.end(), {option, std::to_string(std::stoull(smallest[1]) - 1)});
      expect_refused(just_less, {"smallest possible", smallest[1]});
      Arguments just_enough = fit;
      just_enough.insert(just_enough.end(), {option, smallest[1]});
      Outcome outcome = run(just_enough);
      EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
      for (const auto& [name, bytes] : everything())
        if (name.starts_with("out.gguf")) fs::remove(at(name));
    }
  }
}

}  // namespace
}  // namespace edgellm::cli
