#include "recipes/answer_metrics.h"

#include "evaluate/rouge.h"
#include "recipes/item_answers.h"

namespace edgellm {
namespace {

nlohmann::json to_json(const RougeScore& score) {
  return {{"precision", score.precision}, {"recall", score.recall}, {"f1", score.f1}};
}

nlohmann::json to_json(const RougeScores& scores) {
  return {{"rouge1", to_json(scores.rouge_n[0])},
          {"rouge2", to_json(scores.rouge_n[1])},
          {"rougeL", to_json(scores.rouge_l)},
          {"rougeLsum", to_json(scores.rouge_lsum)}};
}

Status put_scores(const std::string& id, const nlohmann::json& scores, ItemLog& log) {
  nlohmann::json line = *log.find(id);
  if (!line.contains("scores")) line["scores"] = nlohmann::json::object();
  line["scores"].update(scores);
  return log.put(std::move(line));
}

}  // namespace

Result<nlohmann::json> rouge_figures(std::span<const TaskItem> items, ItemLog& log) {
  RougeMeter meter;
  for (const TaskItem& item : items) {
    const std::string answer = answer_in(*log.find(item.id)).text;
    EDGELLM_RETURN_IF_ERROR(put_scores(item.id, to_json(meter.add(item.reference, answer)), log));
  }
  return to_json(meter.value());
}

}  // namespace edgellm
