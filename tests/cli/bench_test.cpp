// bench: what it prints, writes and keeps, and what it refuses.
#include <nlohmann/json.hpp>

#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

class Bench : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) write_model(at("model.gguf"));
  }
  Outcome bench(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"bench", "model.gguf", "--prompt", "8", "--runs", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome;
  }
  nlohmann::json json(const fs::path& path) const {
    auto parsed = nlohmann::json::parse(contents(path), nullptr, false);
    EXPECT_TRUE(parsed.is_object()) << path;
    return parsed;
  }
  // The only record in the folder.
  nlohmann::json record(const std::string& folder) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(at(folder))) found.push_back(entry.path());
    EXPECT_EQ(found.size(), 1u);
    return found.empty() ? nlohmann::json::object() : json(found.front());
  }
};

void expect_spread(const nlohmann::json& spread) {
  EXPECT_GT(spread["least"].get<double>(), 0) << spread;
  EXPECT_LE(spread["least"], spread["median"]) << spread;
  EXPECT_LE(spread["median"], spread["most"]) << spread;
}

TEST_F(Bench, PrintsATableOfOutputLengthsOnceEachAndAscending) {
  std::string out = bench({"--generate", "12,4,4", "--threads", "1", "--no-results"}).out;
  size_t four = out.find(" MB | cpu | 1 | 4 | "), twelve = out.find(" MB | cpu | 1 | 12 | ");
  EXPECT_NE(four, std::string::npos) << out;
  EXPECT_NE(twelve, std::string::npos) << out;
  EXPECT_LT(four, twelve);
  EXPECT_EQ(out.find(" | 4 | ", four + 20), std::string::npos) << out;
}

TEST_F(Bench, JsonTellsMachineBuildAndEveryFigure) {
  bench({"--generate", "4,12", "--sequences", "2", "--threads", "1,2", "--no-results", "--json", "b.json"});
  auto j = json(at("b.json"));
  for (const char* key : {"cpu", "cores", "isa", "kernel", "libc", "absent"})
    EXPECT_TRUE(j["machine"].contains(key) || j["machine"]["absent"].contains(key)) << key;
  for (const char* key : {"version", "compiler", "build_type"}) EXPECT_TRUE(j["build"].contains(key)) << key;
  ASSERT_EQ(j["results"].size(), 2u);
  for (const auto& result : j["results"]) {
    EXPECT_EQ(result["device"], "cpu");
    for (const char* key : {"prompt_tokens_per_second", "first_token_seconds", "generated_tokens_per_second"})
      EXPECT_GT(result[key].get<double>(), 0) << key;
    EXPECT_TRUE(result["energy"].contains("source") || result["energy"].contains("absent"));
    EXPECT_GT(result["estimated_bytes"]["total"].get<double>(), 0);
    ASSERT_EQ(result["generation"].size(), 2u);
    for (const auto& g : result["generation"]) {
      EXPECT_GT(g["seconds_per_token"].get<double>(), 0);
      EXPECT_GT(g["seconds_per_token_with_prompt"].get<double>(), 0);
      EXPECT_TRUE(g.contains("seconds_per_token_range"));
    }
    EXPECT_EQ(result["sequences"][0]["sequences"], 2);
  }
}

TEST_F(Bench, KeepsARecordWithARunForEachLength) {
  bench({"--generate", "4,12", "--results", "kept"});
  auto r = record("kept");
  EXPECT_EQ(r["kind"], "bench");
  EXPECT_EQ(r["settings"]["kv"], "f16");
  EXPECT_EQ(r["run"]["repetitions"], 2);
  EXPECT_TRUE(r["machine"].contains("kernel"));
  const auto& runs = r["figures"]["runs"];
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0]["output_tokens"], 4);
  EXPECT_EQ(runs[1]["output_tokens"], 12);
  for (const auto& run : runs) {
    EXPECT_EQ(run["device"], "cpu");
    EXPECT_EQ(run["prompt_tokens"], 8);
    for (const char* key : {"seconds_per_token", "seconds_per_token_with_prompt", "prompt_tokens_per_second",
                            "first_token_seconds"})
      expect_spread(run[key]);
    EXPECT_TRUE(run["energy"].is_string());
  }
}

TEST_F(Bench, KeepsNoneWhenToldSo) {
  auto before = everything();
  EXPECT_EQ(bench({"--generate", "4", "--no-results"}).err.find("result kept"), std::string::npos);
  expect_same(before, everything());
}

TEST_F(Bench, TableOneHasTheLengthsOfTheSource) {
  std::string out = bench({"--table1", "--no-results"}).out;
  for (const char* length : {" | 256 | ", " | 1024 | ", " | 1288 | "})
    EXPECT_NE(out.find(length), std::string::npos) << out;
}

TEST_F(Bench, DeviceThatIsNotInThisBuildIsNamed) {
  expect_refused({"bench", "model.gguf", "--device", "cpu,gpu"}, {"gpu", "cpu"});
  expect_usage_error({"bench", "model.gguf", "--device", "abacus"}, {"--device", "abacus"});
}

TEST_F(Bench, OptionsThatExcludeEachOtherAreNamed) {
  expect_usage_error({"bench", "model.gguf", "--table1", "--generate", "64"}, {"--table1", "--generate"});
  expect_usage_error({"bench", "model.gguf", "--results", "kept", "--no-results"}, {"--results"});
}

TEST_F(Bench, ResultsThatCannotBeKeptAreRefusedBeforeAnyWork) {
  std::ofstream(at("file")) << "x";
  expect_refused({"bench", "model.gguf", "--results", "file"}, {"file"});
}

TEST_F(Bench, AnInterruptLeavesNoFigures) {
  auto before = everything();
  RunOptions stop;
  stop.signal = SIGINT;
  stop.ready = [&] { return said_so_far().find("measuring") != std::string::npos; };
  Outcome outcome =
      run({"bench", "model.gguf", "--generate", "1000000", "--json", "b.json", "--results", "kept"}, stop);
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  for (const auto& [name, bytes] : everything())
    EXPECT_TRUE(before.contains(name) || name == "kept") << name << " was left behind";
}

}  // namespace
}  // namespace edgellm::cli
