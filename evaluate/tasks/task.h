// A task: what a model is asked, and how its answer is judged. Running the model is the caller's.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

// One question.
struct TaskItem {
  std::string id;      // unique in the task and the same in every run
  std::string prompt;  // what the user says, before the chat template
  std::vector<std::string>
      choices;            // answers to compare by likelihood, as the assistant's words; empty: generate
  std::string reference;  // never empty
  size_t max_tokens = 0;  // of a generated answer
  std::vector<std::string> stop;  // a generated answer ends before any of these
  nlohmann::json source;          // the record of the data file
};

struct TaskItems {
  std::vector<TaskItem> items;
  std::vector<std::string> broken;  // skipped records: "data.jsonl:12: what was wanted, what was got"
};

// What the model said to an item.
struct TaskAnswer {
  std::string text;                            // generated
  std::vector<double> choice_log_likelihoods;  // one a choice: sum over its tokens, natural logarithm
};

struct ItemScore {
  std::map<std::string, double>
      figures;             // "accuracy", "exact_match", "pass@1"; the same names for every item
  nlohmann::json details;  // how they came about, for the record of the item
};

class Task {
 public:
  virtual ~Task() = default;
  virtual std::string_view name() const = 0;
  // The first `n_most` good records. Errors: as read_json_lines (task_data.h).
  virtual Result<TaskItems> read(const std::filesystem::path& path,
                                 size_t n_most = std::numeric_limits<size_t>::max()) const = 0;
  // Several threads may call it at once. Errors: the answer has not what the item asks for (a likelihood for
  // every choice); the sandbox failed. A wrong or empty answer is a score, not an Error.
  virtual Result<ItemScore> score(const TaskItem& item, const TaskAnswer& answer) const = 0;
  // What the task's figures depend on, for the record: prompt, limits, sandbox.
  virtual nlohmann::json settings() const = 0;
};

// "instructions"        answers for ROUGE, BERTScore and BLEURT, which compare texts: no figures of its own
// "ag_news"             accuracy, by likelihood of the four labels
// "ag_news_generation"  accuracy, by the label that the answer names
// "gsm8k"               exact match of the last number
// "humaneval"           pass@1 of the programs, run in the sandbox
std::vector<std::string_view> task_names();

// Errors: no such task; "humaneval" where programs cannot be run safely (no python3, no sandbox).
Result<std::unique_ptr<Task>> open_task(std::string_view name);

struct FigureSummary {
  double mean = 0;
  double standard_error = 0;  // sample standard deviation / sqrt(n_items); 0 for one item
  size_t n_items = 0;
};

// Of each figure, over the items that have it.
std::map<std::string, FigureSummary> summarize(std::span<const std::map<std::string, double>> figures);

// The probability that at least one of k samples drawn from n_samples of which n_passed passed is a passing
// one: 1 - C(n_samples - n_passed, k) / C(n_samples, k), the unbiased estimate of arXiv 2107.03374,
// section 2.1. 1 <= k <= n_samples, n_passed <= n_samples.
double pass_at_k(size_t n_samples, size_t n_passed, size_t k);

}  // namespace edgellm
