// `eval --tasks`: the options, and the run.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/cli/results_options.h"
#include "recipes/task_evaluation.h"

namespace edgellm {

struct EvalTasksOptions {
  std::vector<std::string> names, data, encoders;  // --tasks, --data, --encoder
  std::string items;                               // --items
  size_t layer = 0;                                // --layer; 0: by the model's name
  TaskEvaluationOptions evaluation;
  bool asks_for(const std::string& name) const;
};

// Adds --tasks, --data and the options of answers.
void add_eval_tasks_options(CLI::App& command, EvalTasksOptions& options);

// The file of --data for a name; empty when there is none. "TASK=FILE" goes before a plain file.
std::string data_file_for(const std::string& name, const EvalTasksOptions& options);

// Everything but perplexity, with its data and encoders read.
Result<TaskEvaluator> open_eval_tasks(const EvalTasksOptions& options, const ResultsOptions& results);
// Prints the figures and where the items lie.
Result<TaskEvaluation> run_eval_tasks(TaskEvaluator& evaluator, std::shared_ptr<const GgufFile> model,
                                      const std::string& model_hash);

}  // namespace edgellm
