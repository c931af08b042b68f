#include "recipes/judged.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "recipes/json_lines.h"

namespace edgellm {

Result<Judged> judge_model(LanguageModel& model, const TextWindows& text, const ReferenceLogits& reference,
                           const Progress& progress) {
  EDGELLM_ASSIGN_OR_RETURN(DivergenceResult d, measure_divergence(model, text, reference, progress));
  return Judged{d.mean_kl, d.standard_error, d.percentile_99_kl, d.same_top, d.perplexity.perplexity};
}

Result<Judged> judge_file(const std::filesystem::path& path, const RuntimeModelOptions& options,
                          const TextWindows& text, const ReferenceLogits& reference,
                          const Progress& progress) {
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
  EDGELLM_ASSIGN_OR_RETURN(
      auto model, RuntimeLanguageModel::load(std::make_shared<const GgufFile>(std::move(file)), options));
  return judge_model(*model, text, reference, progress);
}

nlohmann::json to_json(const Judged& j) {
  return {{"mean_kl", j.kl},
          {"mean_kl_standard_error", j.kl_error},
          {"percentile_99_kl", j.percentile_99},
          {"same_top", j.same_top},
          {"perplexity", j.perplexity}};
}

namespace {

std::optional<Judged> judged_from(const nlohmann::json& row) {
  Judged j;
  for (auto [key, number] : {std::pair{"mean_kl", &j.kl},
                             {"mean_kl_standard_error", &j.kl_error},
                             {"percentile_99_kl", &j.percentile_99},
                             {"same_top", &j.same_top},
                             {"perplexity", &j.perplexity}}) {
    if (!row.contains(key) || !row[key].is_number()) return {};
    *number = row[key].get<double>();
  }
  return j;
}

}  // namespace

Result<Judged> judge_once(const std::filesystem::path& log, const std::string& key,
                          const std::function<Result<Judged>()>& judge) {
  for (const nlohmann::json& row : read_json_lines(log)) {
    if (!row.is_object() || row.value("key", nlohmann::json()) != key) continue;
    if (auto known = judged_from(row)) return *known;
  }
  EDGELLM_ASSIGN_OR_RETURN(Judged judged, judge());
  nlohmann::json row = to_json(judged);
  row["key"] = key;
  EDGELLM_RETURN_IF_ERROR(append_json_line(log, row));
  return judged;
}

}  // namespace edgellm
