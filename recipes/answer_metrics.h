// Metrics that compare a model's answers with references, over the log of an evaluation's items.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "core/base/progress.h"
#include "evaluate/tasks/task.h"
#include "recipes/item_log.h"
#include "recipes/text_metrics.h"

namespace edgellm {

// Each puts the scores of every item into its line ("scores") and returns its figures by name, as in
// docs/formats.md. Every item has an answer in the log.

// rouge1, rouge2, rougeL, rougeLsum; without stemming.
Result<nlohmann::json> rouge_figures(std::span<const TaskItem> items, ItemLog& log);

// bertscore; `encoder`, the name for the record, of the model in `metrics`.
Result<nlohmann::json> bert_score_figures(std::span<const TaskItem> items, const std::string& encoder,
                                          const TextMetricsOptions& options, TextMetrics& metrics,
                                          ItemLog& log, const Progress& progress);

// bleurt; `checkpoint`, the name for the record, of the model in `metrics`.
Result<nlohmann::json> bleurt_figures(std::span<const TaskItem> items, const std::string& checkpoint,
                                      TextMetrics& metrics, ItemLog& log, const Progress& progress);

}  // namespace edgellm
