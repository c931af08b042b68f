#include "recipes/metric_figures.h"

namespace edgellm {
namespace {

template <class Score>
nlohmann::json triple(const Score& score) {
  return {{"precision", score.precision}, {"recall", score.recall}, {"f1", score.f1}};
}

}  // namespace

nlohmann::json to_json(const RougeScores& scores) {
  return {{"rouge1", triple(scores.rouge_n[0])},
          {"rouge2", triple(scores.rouge_n[1])},
          {"rougeL", triple(scores.rouge_l)},
          {"rougeLsum", triple(scores.rouge_lsum)}};
}

nlohmann::json to_json(const BertScore& score) {
  return triple(score);
}

nlohmann::json bert_score_figure(const BertScore& mean, const std::string& encoder,
                                 const TextMetricsOptions& options, const TextMetrics& metrics) {
  nlohmann::json figure = to_json(mean);
  figure.update({{"encoder", encoder},
                 {"layer", metrics.layer()},
                 {"idf", options.idf},
                 {"rescaled", !options.baseline.empty()}});
  return figure;
}

nlohmann::json bleurt_figure(double mean, const std::string& checkpoint) {
  return {{"score", mean}, {"checkpoint", checkpoint}};
}

std::string encoder_name(const std::filesystem::path& folder) {
  const std::filesystem::path whole = std::filesystem::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

}  // namespace edgellm
