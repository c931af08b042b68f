// Usage errors: exit code 2, and the option that is wrong is named.
#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class Usage : public ProgramTest {};

TEST_F(Usage, UnknownCommandOrOptionIsNamed) {
  expect_usage_error({"shrink"}, {"shrink"});
  expect_usage_error({"inspect", "model.gguf", "--colour"}, {"--colour"});
}

TEST_F(Usage, MissingOptionIsNamed) {
  expect_usage_error({"quantize", "model.gguf", "-o", "out.gguf"}, {"--type"});
  expect_usage_error({"quantize", "model.gguf", "--type", "Q8_0"}, {"--output"});
  expect_usage_error({"importance", "model.gguf", "-o", "out.gguf"}, {"--text"});
  expect_usage_error({"eval", "model.gguf", "--perplexity"}, {"--text"});
  expect_usage_error({"run", "model.gguf"}, {"--prompt"});
  expect_usage_error({"fit", "model.gguf", "-o", "out.gguf"}, {"--memory", "--size"});
  expect_usage_error({"inspect"}, {"MODEL"});
}

TEST_F(Usage, OptionsThatExcludeEachOtherAreNamed) {
  expect_usage_error({"fit", "model.gguf", "-o", "out.gguf", "--memory", "1GB", "--size", "1GB"},
                     {"--memory", "--size"});
}

TEST_F(Usage, UnknownTypeIsNamed) {
  expect_usage_error({"quantize", "model.gguf", "--type", "Q9_9", "-o", "out.gguf"}, {"--type", "Q9_9"});
  expect_usage_error({"convert", "model.gguf", "--type", "q9_9", "-o", "out"}, {"--type", "q9_9"});
  for (const std::string command : {"run", "eval", "bench", "fit", "inspect", "chat"}) {
    std::vector<std::string> arguments = {command, "model.gguf", "--kv", "q9_9"};
    if (command == "run") arguments.insert(arguments.end(), {"--prompt", "hello"});
    if (command == "eval") arguments.insert(arguments.end(), {"--perplexity", "--text", "text.txt"});
    if (command == "fit") arguments.insert(arguments.end(), {"--size", "60%", "-o", "out.gguf"});
    expect_usage_error(arguments, {"--kv", "q9_9"});
  }
}

TEST_F(Usage, NumberOutOfRangeIsNamed) {
  for (const std::string n : {"0", "-1", "100000", "two"}) {
    expect_usage_error({"run", "model.gguf", "--prompt", "hello", "--threads", n}, {"--threads"});
    expect_usage_error({"bench", "model.gguf", "--threads", n}, {"--threads"});
    expect_usage_error({"quantize", "model.gguf", "--type", "Q8_0", "-o", "out.gguf", "--threads", n},
                       {"--threads"});
    expect_usage_error({"convert", "model.gguf", "-o", "out", "--threads", n}, {"--threads"});
    expect_usage_error({"eval", "model.gguf", "--perplexity", "--text", "text.txt", "--threads", n},
                       {"--threads"});
    expect_usage_error({"fit", "model.gguf", "--size", "60%", "-o", "out.gguf", "--threads", n},
                       {"--threads"});
    expect_usage_error({"importance", "model.gguf", "--text", "text.txt", "-o", "out.gguf", "--threads", n},
                       {"--threads"});
  }
  for (const std::string option : {"--max-tokens", "--top-k", "--repeat-window", "--seed", "--context"})
    expect_usage_error({"run", "model.gguf", "--prompt", "hello", option, "-5"}, {option});
  expect_usage_error({"inspect", "model.gguf", "--context", "-5"}, {"--context"});
  expect_usage_error({"importance", "model.gguf", "--text", "text.txt", "-o", "out.gguf", "--windows", "-5"},
                     {"--windows"});
  expect_usage_error({"eval", "model.gguf", "--perplexity", "--text", "text.txt", "--context", "0"},
                     {"--context"});
  expect_usage_error({"run", "model.gguf", "--prompt", "hello", "--top-p", "7"}, {"--top-p"});
}

TEST_F(Usage, SizeThatIsNoneIsNamed) {
  for (const std::string size : {"large", "-1", "0", "120%", "1e99GB"})
    expect_usage_error({"fit", "model.gguf", "--size", size, "-o", "out.gguf"}, {"--size", size});
  expect_usage_error({"fit", "model.gguf", "--memory", "60%", "-o", "out.gguf"}, {"--memory", "60%"});
}

TEST_F(Usage, HelpIsNoError) {
  EXPECT_EQ(run({"--help"}).exit_code, 0);
  EXPECT_EQ(run({"fit", "--help"}).exit_code, 0);
  EXPECT_EQ(run({"--version"}).exit_code, 0);
}

}  // namespace
}  // namespace edgellm::cli
