#include "evaluate/tasks/task.h"

#include <cmath>
#include <gtest/gtest.h>
#include <set>

#include "core/base/test_folders.h"
#include "evaluate/tasks/ag_news_task.h"
#include "evaluate/tasks/gsm8k_task.h"
#include "evaluate/tasks/instruction_task.h"

namespace edgellm {
namespace {

std::filesystem::path own_data(const char* name) {
  return source_folder() / "tests" / "data" / "tasks" / name;
}

std::vector<TaskItem> items_of(const Task& task, const std::filesystem::path& path) {
  auto read = task.read(path, SIZE_MAX);
  EXPECT_TRUE(read.ok()) << read.error().message;
  return read.ok() ? read->items : std::vector<TaskItem>{};
}

double figure(const Task& task, const TaskItem& item, const TaskAnswer& answer, const char* name) {
  const auto score = task.score(item, answer);
  EXPECT_TRUE(score.ok()) << score.error().message;
  return score.ok() && score->figures.count(name) ? score->figures.at(name) : -1;
}

TEST(Tasks, are_opened_by_name) {
  for (const std::string_view name : task_names()) {
    if (name == "humaneval") continue;
    const auto task = open_task(name);
    ASSERT_TRUE(task.ok());
    EXPECT_EQ((*task)->name(), name);
    EXPECT_TRUE((*task)->settings().contains("prompt"));
  }
  EXPECT_NE(open_task("mmlu").error().message.find("wanted one of instructions, ag_news"), std::string::npos);
}

TEST(InstructionTask, reads_the_forms_that_instructions_come_in) {
  const auto items = items_of(InstructionTask(), own_data("instructions.jsonl"));
  ASSERT_EQ(items.size(), 6u);
  EXPECT_EQ(items[0].prompt, "Write a greeting for a card.");
  EXPECT_EQ(items[0].reference, "All the best on your day!");
  EXPECT_EQ(items[1].prompt, "Name the colour of the thing.\n\na ripe lemon");
  EXPECT_EQ(items[2].reference, "White.");
  EXPECT_EQ(items[3].prompt, "Turn the sentence into a question.\n\nThe train is late.");
  EXPECT_EQ(items[4].reference, "July");
  EXPECT_EQ(items[5].prompt, "Shorten the text.\n\nIt rained and it rained and it rained.");
  std::vector<std::string> ids;
  for (const TaskItem& item : items) {
    ids.push_back(item.id);
    EXPECT_TRUE(item.choices.empty());
    EXPECT_GT(item.max_tokens, 0u);
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"greeting", "colour", "colour #2", "line 3", "line 4", "7"}));
}

TEST(InstructionTask, reads_the_shared_files) {
  for (const auto& [name, n_items] :
       {std::pair("user-instructions-a.jsonl", 126u), {"self-instruct-seed-tasks.jsonl", 175u}}) {
    const auto path = shared_folder() / "data" / name;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path;
    const auto items = items_of(InstructionTask(), path);
    EXPECT_GE(items.size(), n_items);
    std::set<std::string> ids;
    for (const TaskItem& item : items) ids.insert(item.id);
    EXPECT_EQ(ids.size(), items.size());
  }
}

TEST(AgNews, asks_for_the_category_of_the_cleaned_article) {
  const auto items = items_of(AgNewsTask(AgNewsTask::Mode::kLikelihood), own_data("ag_news.csv"));
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(items[0].prompt,
            "Classify the news article into one of four categories: World, Sports, Business, Sci/Tech.\n\n"
            "Title: Two countries sign border treaty\n"
            "Article: The ministers met on the island and signed a treaty after ten years of talks.\n\n"
            "Answer with the category only.");
  EXPECT_EQ(items[0].choices, (std::vector<std::string>{"World", "Sports", "Business", "Sci/Tech"}));
  EXPECT_EQ(items[0].reference, "World");
  EXPECT_EQ(items[3].reference, "Sci/Tech");
  EXPECT_EQ(items[3].id, "line 5");  // the third row has two lines
}

TEST(AgNews, takes_the_likeliest_label) {
  const AgNewsTask task(AgNewsTask::Mode::kLikelihood);
  const auto items = items_of(task, own_data("ag_news.csv"));
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(figure(task, items[0], {"", {-1, -2, -3, -4}}, "accuracy"), 1);
  EXPECT_EQ(figure(task, items[1], {"", {-1, -2, -3, -4}}, "accuracy"), 0);
  // World: -1/5 a byte; Sci/Tech: -1.2/8 a byte.
  EXPECT_EQ(figure(task, items[3], {"", {-1, -9, -9, -1.2}}, "accuracy"), 0);
  EXPECT_EQ(figure(task, items[3], {"", {-1, -9, -9, -1.2}}, "accuracy_per_byte"), 1);
  EXPECT_FALSE(task.score(items[0], {"", {-1, -2}}).ok());
}

TEST(AgNews, finds_the_label_in_an_answer) {
  const std::pair<const char*, const char*> cases[] = {
      {"World", "World"},
      {"sports.", "Sports"},
      {"**Business**", "Business"},
      {"Sci/Tech", "Sci/Tech"},
      {"Category: Sci-Tech", "Sci/Tech"},
      {"Science and Technology", "Sci/Tech"},
      {"This is about technology.", "Sci/Tech"},
      {"It is not World news. The category is Sports", "Sports"},
      {"The article could be Business.\n\nAnswer: World", "World"},
      {"The answer is **\"Sport\"**", "Sports"},
      {"Business, since the world of finance", "Business"},
  };
  for (const auto& [answer, label] : cases) EXPECT_EQ(ag_news_label(answer), label) << answer;
  for (const char* answer : {"", "politics", "worldwide scientific businesslike transport", "I cannot tell"})
    EXPECT_EQ(ag_news_label(answer), std::nullopt) << answer;
}

TEST(AgNews, counts_an_answer_without_label_as_wrong) {
  const AgNewsTask task(AgNewsTask::Mode::kGeneration);
  const auto items = items_of(task, own_data("ag_news.csv"));
  ASSERT_EQ(items.size(), 4u);
  EXPECT_TRUE(items[0].choices.empty());
  EXPECT_EQ(figure(task, items[0], {"World.", {}}, "accuracy"), 1);
  EXPECT_EQ(figure(task, items[0], {"", {}}, "accuracy"), 0);
  EXPECT_EQ(figure(task, items[0], {"", {}}, "answered"), 0);
}

TEST(AgNews, reads_the_shared_file) {
  const auto path = shared_folder() / "data" / "ag_news-a.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path;
  EXPECT_EQ(items_of(AgNewsTask(AgNewsTask::Mode::kLikelihood), path).size(), 5600u);
}

TEST(Gsm8k, finds_the_number_an_answer_ends_with) {
  const std::pair<const char*, const char*> cases[] = {
      {"#### 18", "18"},
      {"so 3 + 4 = 7.\n#### 7\n", "7"},
      {"#### $1,000.50", "1000.5"},
      {"#### 18 dollars for 7 days", "18"},
      {"#### 5\nWait.\n#### 6", "6"},
      {"#### 5\n#### none", "5"},
      {"####\n\n**42**", "42"},
      {"The answer is 18.00.", "18"},
      {"it costs $12.", "12"},
      {"about 25%", "25"},
      {"\\boxed{1,234,567}", "1234567"},
      {"the list 1,2,3", "3"},
      {"10-4=6", "6"},
      {"20-5", "5"},
      {"it fell to -5", "-5"},
      {"she lost -$5", "-5"},
      {"she lost $-5", "-5"},
      {"minus sign \xE2\x88\x92"
       "3",
       "-3"},
      {"-0", "0"},
      {"007", "7"},
      {".5", "0.5"},
      {"0.50", "0.5"},
      {"1234,567", "567"},
      {"12,3456", "3456"},
  };
  for (const auto& [answer, number] : cases) EXPECT_EQ(final_number(answer), number) << answer;
  for (const char* answer : {"", "none", "####", "#### ."})
    EXPECT_EQ(final_number(answer), std::nullopt) << answer;
}

TEST(Gsm8k, scores_by_exact_match) {
  const Gsm8kTask task;
  const auto items = items_of(task, own_data("gsm8k.jsonl"));
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].reference, "34");
  EXPECT_EQ(items[1].reference, "1300");
  EXPECT_EQ(items[0].prompt,
            "A shelf holds 12 jars. Mia fills 3 shelves and breaks 2 jars. How many jars are left?\n\nSolve "
            "it step "
            "by step. End with a line that has only the final answer, written as \"#### number\".");
  EXPECT_EQ(figure(task, items[1], {"They cost $1,300.00.", {}}, "exact_match"), 1);
  EXPECT_EQ(figure(task, items[1], {"1301", {}}, "exact_match"), 0);
  EXPECT_EQ(figure(task, items[1], {"", {}}, "exact_match"), 0);
}

TEST(Gsm8k, finds_the_reference_of_every_shared_problem_in_its_worked_answer) {
  const auto path = shared_folder() / "data" / "gsm8k-test-a.jsonl";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path;
  const Gsm8kTask task;
  for (const TaskItem& item : items_of(task, path)) {
    const std::string worked = item.source["answer"];
    EXPECT_EQ(figure(task, item, {worked, {}}, "exact_match"), 1) << worked;
  }
}

TEST(Summary, is_the_mean_with_its_standard_error) {
  const std::vector<std::map<std::string, double>> figures = {
      {{"accuracy", 1}}, {{"accuracy", 0}, {"other", 5}}, {{"accuracy", 1}}, {{"accuracy", 1}}};
  const auto summaries = summarize(figures);
  EXPECT_DOUBLE_EQ(summaries.at("accuracy").mean, 0.75);
  EXPECT_EQ(summaries.at("accuracy").n_items, 4u);
  // sqrt(p (1-p) / (n - 1)) for a yes-or-no figure
  EXPECT_DOUBLE_EQ(summaries.at("accuracy").standard_error, std::sqrt(0.75 * 0.25 / 3));
  EXPECT_EQ(summaries.at("other").standard_error, 0);
  EXPECT_TRUE(summarize({}).empty());
}

TEST(PassAtK, is_the_unbiased_estimate) {
  EXPECT_DOUBLE_EQ(pass_at_k(1, 1, 1), 1);
  EXPECT_DOUBLE_EQ(pass_at_k(1, 0, 1), 0);
  EXPECT_NEAR(pass_at_k(10, 3, 1), 0.3, 1e-12);
  // 1 - C(7, 5) / C(10, 5) = 1 - 21 / 252
  EXPECT_NEAR(pass_at_k(10, 3, 5), 1 - 21.0 / 252, 1e-12);
  EXPECT_DOUBLE_EQ(pass_at_k(10, 6, 5), 1);
  EXPECT_NEAR(pass_at_k(2000, 1, 1000), 0.5, 1e-9);
}

}  // namespace
}  // namespace edgellm
