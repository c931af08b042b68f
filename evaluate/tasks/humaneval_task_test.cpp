#include "evaluate/tasks/humaneval_task.h"

#include <atomic>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <thread>

#include "core/base/test_folders.h"

namespace edgellm {
namespace {

class HumanEvalTest : public testing::Test {
 protected:
  void SetUp() override {
    auto sandbox = Sandbox::open();
    if (!sandbox.ok()) GTEST_SKIP() << sandbox.error().message;
    SandboxLimits limits = HumanEvalTask::default_limits();
    limits.cpu_time = std::chrono::milliseconds(2000);
    task_.emplace(std::move(*sandbox), limits);
  }

  std::vector<TaskItem> items_of(const std::filesystem::path& path) {
    auto read = task_->read(path, SIZE_MAX);
    EXPECT_TRUE(read.ok()) << read.error().message;
    return read.ok() ? read->items : std::vector<TaskItem>{};
  }
  std::vector<TaskItem> own_items() {
    return items_of(source_folder() / "tests" / "data" / "tasks" / "humaneval.jsonl");
  }
  bool passes(const TaskItem& item, const std::string& answer) {
    const auto score = task_->score(item, {answer, {}});
    EXPECT_TRUE(score.ok()) << score.error().message;
    if (score.ok()) last_details_ = score->details;
    return score.ok() && score->figures.at("pass@1") == 1;
  }

  std::optional<HumanEvalTask> task_;
  nlohmann::json last_details_;
};

TEST_F(HumanEvalTest, asks_to_complete_the_function) {
  const auto items = own_items();
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[1].id, "Own/1");
  EXPECT_EQ(
      items[1].prompt,
      "Complete this Python function. Answer with the whole function in one Python code block.\n\n```python\n"
      "def is_even(n: int) -> bool:\n    return n % 2 == 0\n\n\ndef count_even(numbers):\n    \"\"\" How "
      "many "
      "numbers are even? \"\"\"\n```");
}

TEST_F(HumanEvalTest, right_answers_pass_in_every_form) {
  const auto items = own_items();
  ASSERT_EQ(items.size(), 2u);
  for (const TaskItem& item : items) EXPECT_TRUE(passes(item, item.reference)) << last_details_;
  EXPECT_TRUE(passes(items[0],
                     "```python\nfrom typing import List\n\ndef double_all(numbers: List[int]) -> "
                     "List[int]:\n    return [n + n for n in numbers]\n```\nDone."));
  // The helper that the prompt brings is there too.
  EXPECT_TRUE(passes(items[1], "def count_even(numbers):\n    return sum(map(is_even, numbers))"));
}

TEST_F(HumanEvalTest, wrong_empty_and_broken_answers_fail) {
  const auto items = own_items();
  ASSERT_EQ(items.size(), 2u);
  EXPECT_FALSE(passes(items[0], ""));
  EXPECT_FALSE(passes(items[0], "    pass\n"));
  EXPECT_FALSE(passes(items[0], "    return numbers\n"));
  EXPECT_FALSE(passes(items[0], "I do not know."));
  EXPECT_FALSE(passes(items[0], "```python\ndef double_all(numbers):\n    return [2 * n for n in\n```"));
  EXPECT_NE(last_details_["output"].get<std::string>().find("SyntaxError"), std::string::npos)
      << last_details_;
  EXPECT_FALSE(passes(items[0], std::string("    return \"\xff\\ud800\"\n")));
}

TEST_F(HumanEvalTest, leaving_before_the_tests_is_no_pass) {
  const auto items = own_items();
  ASSERT_EQ(items.size(), 2u);
  for (const char* body :
       {"    exit(0)", "    import os; os._exit(0)", "    raise SystemExit", "    while True: pass",
        "    import os; os.kill(os.getpid(), 9)", "    print('edgellm:'); exit()"})
    EXPECT_FALSE(passes(items[0], body)) << body;
}

TEST_F(HumanEvalTest, what_a_right_answer_prints_does_not_matter) {
  const auto items = own_items();
  ASSERT_EQ(items.size(), 2u);
  for (const char* n_characters : {"10", "3000", "7000", "100000"}) {
    const std::string body =
        fmt::format("    print('x' * {})\n    return [2 * n for n in numbers]\n", n_characters);
    EXPECT_TRUE(passes(items[0], body)) << last_details_;
  }
  EXPECT_TRUE(
      passes(items[0], "    import sys\n    sys.stdout = None\n    return [2 * n for n in numbers]\n"));
}

TEST_F(HumanEvalTest, a_main_part_behind_the_function_does_not_run) {
  const auto items = own_items();
  ASSERT_EQ(items.size(), 2u);
  EXPECT_TRUE(
      passes(items[0],
             "```python\ndef double_all(numbers):\n    return [2 * n for n in numbers]\n\nif __name__ "
             "== '__main__':\n    double_all(input())\n```"))
      << last_details_;
}

// The whole half of the official file: every canonical solution passes, every empty body fails.
TEST_F(HumanEvalTest, holds_for_the_shared_problems) {
  const auto path = shared_folder() / "data" / "humaneval-a.jsonl";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path;
  const auto items = items_of(path);
  ASSERT_EQ(items.size(), 82u);
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i; (i = next++) < items.size();) {
      const auto& body = items[i].reference;
      const auto whole = items[i].source["prompt"].get<std::string>() + body;
      for (const std::string& answer : {body, "```python\n" + whole + "```", whole}) {
        const auto score = task_->score(items[i], {answer, {}});
        ASSERT_TRUE(score.ok()) << score.error().message;
        EXPECT_EQ(score->figures.at("pass@1"), 1) << items[i].id << " " << score->details;
      }
      const auto empty = task_->score(items[i], {"    pass\n", {}});
      ASSERT_TRUE(empty.ok()) << empty.error().message;
      EXPECT_EQ(empty->figures.at("pass@1"), 0) << items[i].id;
    }
  };
  std::thread other(work);
  work();
  other.join();
}

}  // namespace
}  // namespace edgellm
