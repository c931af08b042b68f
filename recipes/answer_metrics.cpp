#include "recipes/answer_metrics.h"

#include "recipes/item_answers.h"
#include "recipes/metric_figures.h"

namespace edgellm {
namespace {

Status put_scores(const std::string& id, const nlohmann::json& scores, ItemLog& log) {
  nlohmann::json line = *log.find(id);
  if (!line.contains("scores")) line["scores"] = nlohmann::json::object();
  line["scores"].update(scores);
  return log.put(std::move(line));
}

// Pairs of answers and references; views into `answers` and the items.
struct Pairs {
  std::vector<std::string> answers;
  std::vector<TextPair> pairs;

  Pairs(std::span<const TaskItem> items, const ItemLog& log) {
    for (const TaskItem& item : items) answers.push_back(answer_in(*log.find(item.id)).text);
    for (size_t i = 0; i < items.size(); ++i) pairs.push_back({answers[i], items[i].reference});
  }
};

}  // namespace

Result<nlohmann::json> rouge_figures(std::span<const TaskItem> items, ItemLog& log) {
  RougeMeter meter;
  for (const TaskItem& item : items) {
    const std::string answer = answer_in(*log.find(item.id)).text;
    EDGELLM_RETURN_IF_ERROR(put_scores(item.id, to_json(meter.add(item.reference, answer)), log));
  }
  return to_json(meter.value());
}

Result<nlohmann::json> bert_score_figures(std::span<const TaskItem> items, const std::string& encoder,
                                          const TextMetricsOptions& options, TextMetrics& metrics,
                                          ItemLog& log, const Progress& progress) {
  const Pairs pairs(items, log);
  EDGELLM_ASSIGN_OR_RETURN(const std::vector<BertScore> scores, metrics.bert_scores(pairs.pairs, progress));
  for (size_t i = 0; i < items.size(); ++i)
    EDGELLM_RETURN_IF_ERROR(put_scores(items[i].id, {{"bertscore", to_json(scores[i])}}, log));
  return nlohmann::json{{"bertscore", bert_score_figure(mean(scores), encoder, options, metrics)}};
}

Result<nlohmann::json> bleurt_figures(std::span<const TaskItem> items, const std::string& checkpoint,
                                      TextMetrics& metrics, ItemLog& log, const Progress& progress) {
  const Pairs pairs(items, log);
  EDGELLM_ASSIGN_OR_RETURN(const std::vector<double> scores, metrics.bleurt_scores(pairs.pairs, progress));
  double sum = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    EDGELLM_RETURN_IF_ERROR(put_scores(items[i].id, {{"bleurt", scores[i]}}, log));
    sum += scores[i];
  }
  return nlohmann::json{{"bleurt", bleurt_figure(sum / double(items.size()), checkpoint)}};
}

}  // namespace edgellm
