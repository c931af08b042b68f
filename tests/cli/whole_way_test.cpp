// All commands one after another on one small model, as a user would give them.
#include <nlohmann/json.hpp>

#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class WholeWay : public ProgramTest {
 protected:
  void expect_works(const std::vector<std::string>& arguments) {
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << arguments[0] << ": " << outcome.err;
  }
  nlohmann::json json(const std::string& name) const {
    auto parsed = nlohmann::json::parse(contents(at(name)), nullptr, false);
    EXPECT_TRUE(parsed.is_object()) << name;
    return parsed;
  }
};

TEST_F(WholeWay, EveryCommandTakesWhatTheOthersWrite) {
  write_model(at("model.gguf"));
  std::ofstream(at("text.txt")) << some_text(1500);
  expect_works({"inspect", "model.gguf", "--json", "inspect.json"});
  EXPECT_EQ(json("inspect.json")["architecture"], "llama");
  expect_works(
      {"importance", "model.gguf", "--text", "text.txt", "--context", "64", "-o", "importance.gguf"});
  expect_works(
      {"quantize", "model.gguf", "--type", "Q4_K_M", "--importance", "importance.gguf", "-o", "q4.gguf"});
  EXPECT_LT(fs::file_size(at("q4.gguf")), fs::file_size(at("model.gguf")));
  expect_works({"eval", "q4.gguf", "--perplexity", "--kl-reference", "model.gguf", "--text", "text.txt",
                "--context", "64", "--windows", "4", "--json", "eval.json"});
  EXPECT_GT(json("eval.json")["kl"]["mean"].get<double>(), 0);
  expect_works({"run", "q4.gguf", "--prompt", "hello", "-n", "4", "--json", "run.json"});
  EXPECT_TRUE(json("run.json").contains("text"));
  expect_works(
      {"bench", "q4.gguf", "--prompt", "8", "--generate", "4", "--runs", "1", "--json", "bench.json"});
  EXPECT_TRUE(json("bench.json").contains("results"));
  expect_works({"convert", "model.gguf", "-o", "folder"});
  expect_works({"convert", "folder", "-o", "back.gguf"});
  EXPECT_EQ(run({"run", "back.gguf", "--prompt", "hello", "-n", "8", "--temperature", "0"}).out,
            run({"run", "model.gguf", "--prompt", "hello", "-n", "8", "--temperature", "0"}).out);
  expect_works({"fit", "model.gguf", "--size", "60%", "--calibrate", "text.txt", "--context", "64", "-o",
                "fit.gguf", "--json", "fit.json"});
  EXPECT_LE(double(fs::file_size(at("fit.gguf"))), 0.6 * double(fs::file_size(at("model.gguf"))));
  EXPECT_TRUE(json("fit.json") == json("fit.gguf.json"));
  for (const auto& [name, bytes] : everything()) EXPECT_EQ(name.find(".partial-"), std::string::npos) << name;
}

}  // namespace
}  // namespace edgellm::cli
