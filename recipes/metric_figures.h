// The scores of ROUGE, BERTScore and BLEURT as figures of a result record: docs/formats.md, "Result records".
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "evaluate/bert_score.h"
#include "evaluate/rouge.h"
#include "recipes/text_metrics.h"

namespace edgellm {

// {"rouge1": {"precision", "recall", "f1"}, "rouge2", "rougeL", "rougeLsum"}; `scores` of lengths 1 and 2.
nlohmann::json to_json(const RougeScores& scores);

// {"precision", "recall", "f1"}. What is not a number is written as null.
nlohmann::json to_json(const BertScore& score);

// The same, with what the mean depends on; `encoder` is the name of the model in `metrics`.
nlohmann::json bert_score_figure(const BertScore& mean, const std::string& encoder,
                                 const TextMetricsOptions& options, const TextMetrics& metrics);
nlohmann::json bleurt_figure(double mean, const std::string& checkpoint);

// What a record calls the encoder of a folder: the folder's own name, whether or not its path ends in "/".
std::string encoder_name(const std::filesystem::path& folder);

}  // namespace edgellm
