// `edgellm score`: figures, the file it leaves, and bad input.
#include <nlohmann/json.hpp>

#include "tests/cli/edgellm_program.h"

namespace edgellm::cli {
namespace {

using Json = nlohmann::json;

class Score : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    write("answers.txt", "the cat sat\n\na dog\n");
    write("references.txt", "the cat sat\nnot empty\na cat\n");
  }
  void write(const std::string& name, std::string_view text) { std::ofstream(at(name)) << text; }
  static std::vector<std::string> command(const std::string& candidates, const std::string& references,
                                          std::vector<std::string> more = {}) {
    std::vector<std::string> all = {"score", "--candidates", candidates, "--references", references};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

TEST_F(Score, RougeNeedsNoEncoderAndKeepsEveryPair) {
  Outcome outcome = run(command("answers.txt", "references.txt", {"--json", "scores.json"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("pairs       3"), std::string::npos) << outcome.out;
  Json json = Json::parse(contents(at("scores.json")));
  EXPECT_EQ(json["schema"], 1);
  EXPECT_EQ(json["scores"].size(), 3u);
  EXPECT_EQ(json["scores"][0]["rouge1"]["f1"], 1.0);
  EXPECT_EQ(json["scores"][1]["rouge1"]["f1"], 0.0);  // an empty answer
  EXPECT_EQ(json["scores"][2]["rouge1"]["recall"], 0.5);
  EXPECT_NEAR(json["mean"]["rouge1"]["f1"].get<double>(), 0.5, 1e-12);
}

TEST_F(Score, BothSidesMayComeFromOneJsonLinesFile) {
  write("items.jsonl", "{\"answer\": \"a b\", \"reference\": \"a b\"}\n");
  Outcome outcome = run(command("items.jsonl", "items.jsonl", {"--candidate-key", "answer"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("ROUGE-L      1.000000"), std::string::npos) << outcome.out;
}

TEST_F(Score, BadInputIsNamedByFileAndLine) {
  write("holes.txt", "a\n\nb\n");
  write("short.txt", "a\n");
  write("broken.jsonl", "{\"candidate\": \"a\"}\n{\"candidate\": \n");
  expect_refused(command("answers.txt", "holes.txt"), {"holes.txt:2", "reference is empty"});
  expect_refused(command("short.txt", "references.txt"), {"short.txt has 1 texts", "references.txt has 3"});
  expect_refused(command("broken.jsonl", "references.txt"), {"broken.jsonl:2", "no JSON object"});
  expect_refused(command("nowhere.txt", "references.txt"), {"nowhere.txt"});
  expect_refused(command("answers.txt", "references.txt", {"--json", "answers.txt"}),
                 {"answers.txt", "input"});
}

TEST_F(Score, AMetricSaysWhatItNeeds) {
  expect_refused(command("answers.txt", "references.txt", {"--metrics", "bertscore"}), {"--encoder"});
  expect_refused(command("answers.txt", "references.txt", {"--metrics", "rouge,bleurt"}),
                 {"BLEURT checkpoint"});
  expect_refused(command("answers.txt", "references.txt", {"--metrics", "bertscore", "--encoder", "nowhere"}),
                 {"nowhere"});
  expect_usage_error(command("answers.txt", "references.txt", {"--metrics", "bleu"}), {"--metrics", "bleu"});
  expect_usage_error({"score", "--references", "references.txt"}, {"--candidates"});
}

}  // namespace
}  // namespace edgellm::cli
