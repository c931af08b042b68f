#include "apps/cli/eval_tasks.h"

#include <algorithm>
#include <fmt/format.h>

#include "apps/cli/command.h"
#include "results/results_folder.h"

namespace edgellm {
namespace {

// "gsm8k=FILE" -> ("gsm8k", "FILE"); "FILE" -> ("", "FILE"). A file's own name may hold "=".
std::pair<std::string, std::string> named_file(const std::string& text) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const auto& names = evaluation_names();
  if (equals == std::string::npos || std::find(names.begin(), names.end(), name) == names.end())
    return {"", text};
  return {name, text.substr(equals + 1)};
}

std::string file_for(const std::string& name, const std::vector<std::string>& files) {
  std::string plain;
  for (const std::string& text : files) {
    auto [task, file] = named_file(text);
    if (task == name) return file;
    if (task.empty()) plain = file;
  }
  return plain;
}

void print_figure(const std::string& name, const nlohmann::json& figure) {
  if (figure.contains("f1")) {
    fmt::print("{:<20}precision {:.4f}, recall {:.4f}, F1 {:.4f}\n", name, figure["precision"].get<double>(),
               figure["recall"].get<double>(), figure["f1"].get<double>());
  } else if (figure.contains("score")) {
    fmt::print("{:<20}{:.4f}\n", name, figure["score"].get<double>());
  } else if (figure.contains("accuracy") || figure.contains("pass_at_1")) {
    const bool passes = figure.contains("pass_at_1");
    fmt::print("{:<20}{} {:.1f}% +- {:.1f} of {} items", name, passes ? "pass@1" : "accuracy",
               100 * figure[passes ? "pass_at_1" : "accuracy"].get<double>(),
               100 * figure["standard_error"].get<double>(), figure["items"].get<size_t>());
    if (figure.contains("how")) fmt::print(", by {}", figure["how"].get<std::string>());
    fmt::print("\n");
  }
}

std::filesystem::path items_folder(const EvalTasksOptions& o, const ResultsOptions& results) {
  if (!o.items.empty()) return o.items;
  const std::filesystem::path folder =
      results.folder.empty() ? default_results_folder() : std::filesystem::path(results.folder);
  return folder.empty() ? "edgellm-items" : folder / "items";
}

}  // namespace

bool EvalTasksOptions::asks_for(const std::string& name) const {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string data_file_for(const std::string& name, const EvalTasksOptions& options) {
  return file_for(name, options.data);
}

void add_eval_tasks_options(CLI::App& command, EvalTasksOptions& o) {
  const char* group = "Tasks";
  AnsweringOptions& answering = o.evaluation.answering;
  command.add_option("--data", o.data, "data file, or TASK=FILE for one task of several; may be repeated")
      ->group(group);
  command
      .add_option(
          "--encoder", o.encoders,
          "Hugging Face folder of the text encoder for bertscore or bleurt; TASK=FOLDER for one of them")
      ->group(group);
  command
      .add_option(
          "--layer", o.layer,
          "layer that bertscore compares (default: bert-score's choice for the encoder, else the last)")
      ->group(group)
      ->check(CLI::PositiveNumber);
  command.add_flag("--idf", o.evaluation.text_metrics.idf, "bertscore weighs tokens by their rarity")
      ->group(group);
  command
      .add_option("--rescale", o.evaluation.text_metrics.baseline,
                  "bert-score's baseline file of the encoder: bertscore on a clearer scale")
      ->group(group);
  command
      .add_option("--limit", o.evaluation.n_most_items, "judge the first so many items only (default: all)")
      ->group(group)
      ->check(CLI::PositiveNumber);
  command
      .add_option(
          "--items", o.items,
          "folder for every item's prompt, answer and scores; a run that was stopped goes on from them "
          "(default: items in the results folder)")
      ->group(group);
  command.add_flag("--fresh", o.evaluation.begin_anew, "do not use the answers of earlier runs")
      ->group(group);
  command
      .add_option("--at-once", answering.n_at_once, "answers drawn together; the texts do not depend on it")
      ->group(group)
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  command.add_option("--max-tokens", answering.max_tokens, "most tokens of an answer (default: the task's)")
      ->group(group)
      ->check(CLI::PositiveNumber);
  command.add_option("--system", answering.system, "system message put before each prompt")->group(group);
  command.add_option("--temperature", answering.sampler.temperature, "0 always takes the most likely token")
      ->group(group)
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  command.add_option("--seed", answering.sampler.seed, "with a temperature: the same seed, the same answers")
      ->group(group)
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
}

Result<TaskEvaluator> open_eval_tasks(const EvalTasksOptions& options, const ResultsOptions& results) {
  TaskEvaluationOptions evaluation = options.evaluation;
  evaluation.items_folder = items_folder(options, results);
  if (options.layer) evaluation.text_metrics.layer = options.layer;
  for (const std::string& name : options.names) {
    if (name == "perplexity") continue;
    if (std::find(evaluation.names.begin(), evaluation.names.end(), name) == evaluation.names.end())
      evaluation.names.push_back(name);
    if (std::string file = data_file_for(name, options); !file.empty()) evaluation.data[name] = file;
    if (std::string folder = file_for(name, options.encoders); !folder.empty())
      evaluation.encoders[name] = folder;
  }
  return TaskEvaluator::open(std::move(evaluation));
}

Result<TaskEvaluation> run_eval_tasks(TaskEvaluator& evaluator, std::shared_ptr<const GgufFile> model,
                                      const std::string& model_hash) {
  EDGELLM_ASSIGN_OR_RETURN(TaskEvaluation done,
                           evaluator.run(std::move(model), model_hash, terminal_progress()));
  end_progress_line();
  for (const std::string& broken : done.broken) fmt::print(stderr, "skipped {}\n", broken);
  for (const auto& [name, figure] : done.figures.items()) print_figure(name, figure);
  for (const std::filesystem::path& log : done.logs) fmt::print("items               {}\n", log.string());
  return done;
}

}  // namespace edgellm
