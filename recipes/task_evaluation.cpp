#include "recipes/task_evaluation.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "core/base/content_hash.h"
#include "core/base/interrupt.h"
#include "recipes/answer_metrics.h"
#include "recipes/metric_figures.h"

namespace edgellm {
namespace {

// The task whose answers a name judges.
std::string task_of(const std::string& name) {
  return name == "rouge" || name == "bertscore" || name == "bleurt" ? "instructions" : name;
}

// One task with the names that judge its answers.
struct Part {
  std::vector<std::string> names;
  std::unique_ptr<Task> task;
  std::filesystem::path data;
  RecordedData recorded;
  TaskItems items;
  nlohmann::json settings;
};

const std::filesystem::path* chosen(const std::map<std::string, std::filesystem::path>& by_name,
                                    const std::string& name) {
  auto found = by_name.find(name);
  if (found == by_name.end()) found = by_name.find("");
  return found == by_name.end() ? nullptr : &found->second;
}

Result<std::vector<Part>> read_parts(const TaskEvaluationOptions& o) {
  std::vector<Part> parts;
  for (const std::string& name : o.names) {
    const std::filesystem::path* data = chosen(o.data, name);
    if (!data) return Error{fmt::format("eval: {0} needs a data file: give --data {0}=FILE", name)};
    auto same = std::find_if(parts.begin(), parts.end(), [&](const Part& part) {
      return part.task->name() == task_of(name) && part.data == *data;
    });
    if (same == parts.end()) {
      Part part;
      EDGELLM_ASSIGN_OR_RETURN(part.task, open_task(task_of(name)));
      part.data = *data;
      const size_t n_most = o.n_most_items ? o.n_most_items : std::numeric_limits<size_t>::max();
      EDGELLM_ASSIGN_OR_RETURN(part.items, part.task->read(*data, n_most));
      // A record may hold several items.
      if (part.items.items.size() > n_most) part.items.items.resize(n_most);
      EDGELLM_ASSIGN_OR_RETURN(part.recorded.hash, hash_file(*data));
      part.recorded.name = data->filename().string();
      part.recorded.n_items = part.items.items.size();
      part.settings = settings_json(o.answering);
      part.settings["task"] = part.task->settings();
      same = parts.insert(parts.end(), std::move(part));
    }
    same->names.push_back(name);
  }
  return parts;
}

Result<ItemLog> open_log(const Part& part, const std::string& model_hash, const TaskEvaluationOptions& o) {
  const nlohmann::json key = {{"model", model_hash},
                              {"data", part.recorded.hash},
                              {"task", part.task->name()},
                              {"settings", part.settings}};
  const std::string name = fmt::format("{}-{}-{}.jsonl", part.task->name(), model_hash.substr(0, 8),
                                       hash_text(key.dump()).substr(0, 8));
  return ItemLog::open(o.items_folder / name, key, o.begin_anew);
}

// Scores of a task that judges its own answers; kept in the log beside the answer, and not computed again.
Status score_items(const Part& part, ItemLog& log, const Progress& progress) {
  ProgressMeter meter(progress, fmt::format("scoring {}", part.task->name()),
                      double(part.items.items.size()));
  for (const TaskItem& item : part.items.items) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    nlohmann::json line = *log.find(item.id);
    if (!line.contains("scores")) {
      EDGELLM_ASSIGN_OR_RETURN(ItemScore score, part.task->score(item, answer_in(line)));
      line["scores"] = score.figures;
      line["details"] = score.details;
      EDGELLM_RETURN_IF_ERROR(log.put(std::move(line)));
    }
    meter.add(1, item.id);
  }
  meter.finish();
  return {};
}

nlohmann::json own_figures(const Part& part, const ItemLog& log) {
  std::vector<std::map<std::string, double>> scores;
  for (const TaskItem& item : part.items.items)
    scores.push_back(log.find(item.id)->at("scores").get<std::map<std::string, double>>());
  const auto summary = summarize(scores);
  nlohmann::json j;
  for (const auto& [name, figure] : summary) {
    // What decides is called accuracy in every task but humaneval.
    const bool decides = name == "accuracy" || name == "exact_match" || name == "pass@1";
    const std::string key = name == "pass@1" ? "pass_at_1" : name == "exact_match" ? "accuracy" : name;
    j[key] = figure.mean;
    if (decides) {
      j["standard_error"] = figure.standard_error;
      j["items"] = figure.n_items;
    }
  }
  if (part.task->name() == "ag_news") j["how"] = "likelihood";
  if (part.task->name() == "ag_news_generation") j["how"] = "generation";
  return j;
}

// The metrics that need an encoder, by name; loaded before the model answers, so that what is missing is said
// at once. An encoder takes far less memory than the answers take time.
Result<std::map<std::string, TextMetrics>> load_metrics(const TaskEvaluationOptions& o) {
  std::map<std::string, TextMetrics> metrics;
  for (const std::string& name : o.names) {
    if (name != "bertscore" && name != "bleurt") continue;
    const std::filesystem::path* folder = chosen(o.encoders, name);
    if (!folder)
      return Error{fmt::format("eval: {0} needs a text encoder: give --encoder {0}=FOLDER ({1})", name,
                               name == "bleurt"
                                   ? "a BLEURT checkpoint, such as BLEURT-20 for PyTorch"
                                   : "BERT or RoBERTa from Hugging Face, such as roberta-large")};
    TextMetricsOptions options = o.text_metrics;
    options.bert_score = name == "bertscore";
    options.bleurt = name == "bleurt";
    options.n_threads = o.answering.n_threads;
    EDGELLM_ASSIGN_OR_RETURN(TextMetrics loaded, TextMetrics::load(*folder, options));
    metrics.emplace(name, std::move(loaded));
  }
  return metrics;
}

Result<nlohmann::json> text_figures(const std::string& name, std::span<const TaskItem> items,
                                    const TaskEvaluationOptions& o,
                                    std::map<std::string, TextMetrics>& metrics, ItemLog& log,
                                    const Progress& progress) {
  if (name == "rouge") return rouge_figures(items, log);
  const std::string encoder = encoder_name(*chosen(o.encoders, name));
  TextMetrics& metric = metrics.at(name);
  if (name == "bleurt") return bleurt_figures(items, encoder, metric, log, progress);
  return bert_score_figures(items, encoder, o.text_metrics, metric, log, progress);
}

nlohmann::json data_json(const RecordedData& data) {
  return {{"name", data.name}, {"hash", data.hash}, {"items", data.n_items}};
}

}  // namespace

const std::vector<std::string>& evaluation_names() {
  static const std::vector<std::string> kNames = {
      "rouge", "bertscore", "bleurt", "ag_news", "ag_news_generation", "gsm8k", "humaneval", "perplexity"};
  return kNames;
}

struct TaskEvaluator::State {
  TaskEvaluationOptions options;
  std::vector<Part> parts;
  std::map<std::string, TextMetrics> metrics;
};

TaskEvaluator::TaskEvaluator(std::unique_ptr<State> state) : state_(std::move(state)) {}
TaskEvaluator::TaskEvaluator(TaskEvaluator&&) noexcept = default;
TaskEvaluator& TaskEvaluator::operator=(TaskEvaluator&&) noexcept = default;
TaskEvaluator::~TaskEvaluator() = default;

Result<TaskEvaluator> TaskEvaluator::open(TaskEvaluationOptions options) {
  auto state = std::make_unique<State>();
  state->options = std::move(options);
  EDGELLM_ASSIGN_OR_RETURN(state->parts, read_parts(state->options));
  EDGELLM_ASSIGN_OR_RETURN(state->metrics, load_metrics(state->options));
  return TaskEvaluator(std::move(state));
}

Result<TaskEvaluation> TaskEvaluator::run(std::shared_ptr<const GgufFile> model,
                                          const std::string& model_hash, const Progress& progress) {
  const TaskEvaluationOptions& o = state_->options;
  EDGELLM_ASSIGN_OR_RETURN(AnsweringModel answering, AnsweringModel::load(std::move(model), o.answering));
  TaskEvaluation evaluation;
  for (const Part& part : state_->parts) {
    const std::span<const TaskItem> items = part.items.items;
    EDGELLM_ASSIGN_OR_RETURN(ItemLog log, open_log(part, model_hash, o));
    evaluation.logs.push_back(log.path());
    for (const std::string& broken : part.items.broken) evaluation.broken.push_back(broken);
    EDGELLM_RETURN_IF_ERROR(
        answering.answer(items, fmt::format("answering {}", part.task->name()), log, progress));
    if (part.task->name() == "instructions") {
      for (const std::string& name : part.names) {
        EDGELLM_ASSIGN_OR_RETURN(nlohmann::json figures,
                                 text_figures(name, items, o, state_->metrics, log, progress));
        evaluation.figures.update(figures);
      }
    } else {
      EDGELLM_RETURN_IF_ERROR(score_items(part, log, progress));
      evaluation.figures[part.names.front()] = own_figures(part, log);
    }
    std::vector<std::string> ids;
    for (const TaskItem& item : items) ids.push_back(item.id);
    EDGELLM_RETURN_IF_ERROR(log.rewrite(ids));
    for (auto& [name, figure] : evaluation.figures.items()) {
      if (figure.contains("data")) continue;
      figure["data"] = data_json(part.recorded);
      figure["settings"] = part.settings;
    }
  }
  return evaluation;
}

}  // namespace edgellm
