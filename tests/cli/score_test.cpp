// `edgellm score`: figures, the file it leaves, and bad input.
#include <map>
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

TEST_F(Score, KeepsARecordThatReportSetsBesideOthersOnTheSameReferences) {
  write("other.txt", "a cat\nnot full\na cat\n");
  write("same.jsonl",
        "{\"reference\": \"the cat sat\"}\n{\"reference\": \"not empty\"}\n{\"reference\": \"a cat\"}\n");
  ASSERT_EQ(run(command("answers.txt", "references.txt", {"--results", "kept"})).exit_code, 0);
  ASSERT_EQ(
      run(command("other.txt", "same.jsonl", {"--results", "kept", "--model-name", "B", "--method", "Q4_0"}))
          .exit_code,
      0);
  std::map<std::string, Json> records;
  for (const auto& entry : fs::directory_iterator(at("kept"))) {
    Json record = Json::parse(contents(entry.path()));
    records[record["model"]["name"]] = record;
  }
  ASSERT_EQ(records.size(), 2u);
  const Json &first = records["answers"], &second = records["B"];
  EXPECT_EQ(first["kind"], "score");
  EXPECT_EQ(first["model"]["file"], "answers.txt");
  EXPECT_FALSE(first["model"].contains("bytes") || first["model"].contains("method"));
  EXPECT_EQ(first["data"]["name"], "references.txt");
  EXPECT_EQ(first["data"]["items"], 3);
  EXPECT_EQ(first["data"]["hash"], second["data"]["hash"]) << "the same texts in another file";
  EXPECT_NE(first["model"]["hash"], second["model"]["hash"]);
  EXPECT_EQ(first["figures"]["rouge1"]["stemming"], false);
  EXPECT_NEAR(first["figures"]["rouge1"]["f1"].get<double>(), 0.5, 1e-12);
  EXPECT_EQ(second["model"]["method"], "Q4_0");

  ASSERT_EQ(run({"report", "kept", "--markdown", "r.md"}).exit_code, 0);
  const std::string report = contents(at("r.md"));
  EXPECT_NE(report.find("| answers | – | – |"), std::string::npos) << report;
  EXPECT_NE(report.find("| B | Q4_0 | – |"), std::string::npos) << report;
  EXPECT_EQ(report.find("other data or settings"), std::string::npos) << report;
}

TEST_F(Score, KeepsNoRecordWhereNoneIsWanted) {
  ASSERT_EQ(run(command("answers.txt", "references.txt", {"--no-results"})).exit_code, 0);
  EXPECT_FALSE(fs::exists(results_folder()));
  expect_refused(command("answers.txt", "references.txt", {"--results", "answers.txt"}), {"--results"});
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
