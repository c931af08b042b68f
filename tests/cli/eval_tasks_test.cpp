// Tasks through the program: figures, the log of items, a run that goes on where another stopped, bad input.
#include <nlohmann/json.hpp>

#include "tests/cli/edgellm_program.h"
#include "tests/cli/model_on_disk.h"

namespace edgellm::cli {
namespace {

using Arguments = std::vector<std::string>;

class EvalTasks : public ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    write_model(at("model.gguf"));
    std::ofstream data(at("data.jsonl")), gsm8k(at("gsm8k.jsonl")), news(at("news.csv"));
    for (int i = 0; i < 5; ++i) {
      data << nlohmann::json{{"instruction", "Say " + std::to_string(i)}, {"output", "the river is light"}}
                  .dump()
           << "\n";
      gsm8k
          << nlohmann::json{{"question", "How many?"}, {"answer", "A few.\n#### " + std::to_string(i)}}.dump()
          << "\n";
      news << i % 4 + 1 << ",\"River rises\",\"It rose again, \"\"fast\"\".\"\n";
    }
  }

  static Arguments rouge(const Arguments& more = {}, const std::string& max_tokens = "12") {
    Arguments all = {"eval", "model.gguf", "--tasks", "rouge", "--data", "data.jsonl"};
    all.insert(all.end(), {"--max-tokens", max_tokens, "--items", "items", "--json", "out.json"});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  nlohmann::json figures() const { return nlohmann::json::parse(contents(at("out.json")), nullptr, false); }
  fs::path log() const {
    fs::path found;
    for (const auto& entry : fs::directory_iterator(at("items"))) found = entry.path();
    return found;
  }
  static std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
};

TEST_F(EvalTasks, LeaveFiguresARecordAndALineForEveryItem) {
  Outcome outcome = run(rouge());
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("rouge1"), std::string::npos);
  EXPECT_EQ(figures()["tasks"]["rougeL"]["data"]["items"], 5);
  const auto lines = lines_of(contents(log()));
  ASSERT_EQ(lines.size(), 6u);  // what they belong to, and five items
  for (size_t i = 1; i < lines.size(); ++i) {
    const auto item = nlohmann::json::parse(lines[i]);
    for (const char* key : {"id", "prompt", "answer", "reference", "scores", "tokens", "stop"})
      EXPECT_TRUE(item.contains(key)) << key;
    EXPECT_LE(item["tokens"], 12);
  }
  size_t n_records = 0;
  for (const auto& entry : fs::directory_iterator(results_folder()))
    n_records += entry.path().extension() == ".json";
  EXPECT_EQ(n_records, 1u);
}

TEST_F(EvalTasks, AnswersDoNotDependOnHowManyAreDrawnAtOnce) {
  ASSERT_EQ(run(rouge({"--at-once", "1"})).exit_code, 0);
  const std::string alone = contents(log());
  ASSERT_EQ(run(rouge({"--at-once", "5", "--fresh"})).exit_code, 0);
  EXPECT_EQ(contents(log()), alone);
}

TEST_F(EvalTasks, AStoppedRunGoesOnAndATornLineIsDoneAgain) {
  ASSERT_EQ(run(rouge()).exit_code, 0);
  const std::string whole = contents(log());
  const auto lines = lines_of(whole);
  // A kept answer is used as it is, not drawn again.
  auto kept = nlohmann::json::parse(lines[1]);
  kept["answer"] = "the river is light";
  std::ofstream(log()) << lines[0] << "\n" << kept.dump() << "\n" << lines[2].substr(0, lines[2].size() / 2);
  ASSERT_EQ(run(rouge()).exit_code, 0);
  const auto again = lines_of(contents(log()));
  ASSERT_EQ(again.size(), lines.size());
  EXPECT_EQ(nlohmann::json::parse(again[1])["scores"]["rouge1"]["f1"], 1.0);
  for (size_t i = 2; i < lines.size(); ++i) EXPECT_EQ(again[i], lines[i]);
  ASSERT_EQ(run(rouge({"--fresh"})).exit_code, 0);
  EXPECT_EQ(contents(log()), whole);
}

TEST_F(EvalTasks, AnInterruptedRunKeepsItsAnswers) {
  RunOptions options;
  options.signal = SIGINT;
  options.ready = [&] { return fs::exists(at("items")) && lines_of(contents(log())).size() > 2; };
  const Outcome outcome = run(rouge({"--at-once", "1"}, "400"), options);
  EXPECT_EQ(outcome.ended_by, 0);
  ASSERT_EQ(run(rouge({}, "400")).exit_code, 0);
  EXPECT_EQ(lines_of(contents(log())).size(), 6u);
}

TEST_F(EvalTasks, SeveralTasksHaveFilesOfTheirOwn) {
  Outcome outcome = run({"eval", "model.gguf", "--tasks", "gsm8k,ag_news,ag_news_generation,perplexity",
                         "--data", "gsm8k=gsm8k.jsonl", "--data", "news.csv", "--data", "perplexity=text.txt",
                         "--context", "64", "--max-tokens", "8", "--json", "out.json"});
  EXPECT_EQ(outcome.exit_code, 1);  // text.txt is not there
  std::ofstream(at("text.txt")) << some_text(400);
  outcome = run({"eval", "model.gguf", "--tasks", "gsm8k,ag_news,ag_news_generation,perplexity", "--data",
                 "gsm8k=gsm8k.jsonl", "--data", "news.csv", "--data", "perplexity=text.txt", "--context",
                 "64", "--max-tokens", "8", "--json", "out.json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto tasks = figures()["tasks"];
  EXPECT_EQ(tasks["gsm8k"]["items"], 5);
  EXPECT_EQ(tasks["ag_news"]["how"], "likelihood");
  EXPECT_EQ(tasks["ag_news_generation"]["how"], "generation");
  EXPECT_GT(figures()["perplexity"]["perplexity"], 1.0);
}

TEST_F(EvalTasks, WhatIsMissingIsSaidBeforeAnythingIsMeasured) {
  std::ofstream(at("text.txt")) << some_text(400);
  const Outcome outcome = run({"eval", "model.gguf", "--tasks", "perplexity,bertscore", "--data",
                               "data.jsonl", "--data", "perplexity=text.txt", "--context", "64"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("--encoder bertscore=FOLDER"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out.find("perplexity"), std::string::npos) << outcome.out;
}

TEST_F(EvalTasks, ALimitCountsItemsWhereARecordHoldsSeveral) {
  nlohmann::json record = {{"instruction", "Say"}, {"instances", nlohmann::json::array()}};
  for (const char* input : {"a", "b", "c"})
    record["instances"].push_back({{"input", input}, {"output", "d"}});
  std::ofstream(at("several.jsonl")) << record.dump() << "\n" << record.dump() << "\n";
  const Outcome outcome = run({"eval", "model.gguf", "--tasks", "rouge", "--data", "several.jsonl", "--limit",
                               "4", "--max-tokens", "4", "--json", "out.json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(figures()["tasks"]["rouge1"]["data"]["items"], 4);
}

TEST_F(EvalTasks, WhatIsMissingIsSaid) {
  expect_refused({"eval", "model.gguf", "--tasks", "gsm8k"}, {"gsm8k", "--data gsm8k=FILE"});
  expect_refused({"eval", "model.gguf", "--tasks", "bertscore", "--data", "data.jsonl"},
                 {"bertscore", "--encoder bertscore=FOLDER"});
  expect_refused({"eval", "model.gguf", "--tasks", "bleurt", "--data", "data.jsonl"}, {"BLEURT checkpoint"});
  expect_refused(
      {"eval", "model.gguf", "--tasks", "bertscore", "--data", "data.jsonl", "--encoder", "nowhere"},
      {"nowhere"});
  expect_refused({"eval", "model.gguf", "--tasks", "perplexity"}, {"perplexity", "--data"});
  expect_refused({"eval", "model.gguf", "--tasks", "rouge", "--data", "nowhere.jsonl"}, {"nowhere.jsonl"});
}

TEST_F(EvalTasks, BrokenRecordsAreNamedByFileAndLine) {
  std::ofstream(at("broken.jsonl")) << "{\"instruction\": \"a\", \"output\": \"b\"}\n{\"instruction\": \n";
  expect_refused({"eval", "model.gguf", "--tasks", "rouge", "--data", "broken.jsonl"}, {"broken.jsonl:2"});
  std::ofstream(at("empty.jsonl")) << "{\"instruction\": \"a\", \"output\": \"\"}\n";
  expect_refused({"eval", "model.gguf", "--tasks", "rouge", "--data", "empty.jsonl"}, {"empty.jsonl:1"});
}

TEST_F(EvalTasks, AFileThatIsNoLogOfItemsIsNotWrittenOver) {
  ASSERT_EQ(run(rouge()).exit_code, 0);
  std::ofstream(log()) << "notes\n";
  expect_refused(rouge(), {"no file of an evaluation's items"});
  EXPECT_EQ(contents(log()), "notes\n");
}

TEST_F(EvalTasks, APromptThatDoesNotFitIsNamed) {
  std::ofstream(at("long.jsonl"))
      << nlohmann::json{{"instruction", some_text(2000)}, {"output", "b"}, {"id", "x"}}.dump() << "\n";
  expect_refused({"eval", "model.gguf", "--tasks", "rouge", "--data", "long.jsonl"}, {"tokens", "context"});
}

}  // namespace
}  // namespace edgellm::cli
