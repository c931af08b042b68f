// A model judged by tasks: its answers are drawn (or found in the logs of an earlier run), scored, and summed
// up as the figures of a result record.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "recipes/item_answers.h"
#include "recipes/text_metrics.h"
#include "results/result_record.h"

namespace edgellm {

// What --tasks takes, in the order in which the help lists them. "perplexity" is measured by other means.
const std::vector<std::string>& evaluation_names();

struct TaskEvaluationOptions {
  std::vector<std::string> names;  // of evaluation_names()
  // Files by name; "" for those that have none of their own.
  std::map<std::string, std::filesystem::path> data, encoders;
  size_t n_most_items = 0;  // 0: all
  AnsweringOptions answering;
  TextMetricsOptions text_metrics;     // layer, idf and baseline of BERTScore
  std::filesystem::path items_folder;  // where the logs of items lie, one a task
  bool begin_anew = false;             // answers of earlier runs are not used
};

struct TaskEvaluation {
  nlohmann::json figures = nlohmann::json::object();  // by name, as in docs/formats.md
  std::vector<std::filesystem::path> logs;
  std::vector<std::string> broken;  // records that were skipped
};

class TaskEvaluator {
 public:
  // Reads data and encoders, so that everything that can be wrong without running the model is an Error
  // before any long work: a name without its data or encoder (says what to give), data that cannot be read, a
  // sandbox that is not to be had.
  static Result<TaskEvaluator> open(TaskEvaluationOptions options);
  TaskEvaluator(TaskEvaluator&&) noexcept;
  TaskEvaluator& operator=(TaskEvaluator&&) noexcept;
  ~TaskEvaluator();

  Result<TaskEvaluation> run(std::shared_ptr<const GgufFile> model, const std::string& model_hash,
                             const Progress& progress);

 private:
  struct State;
  explicit TaskEvaluator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace edgellm
