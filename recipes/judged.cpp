#include "recipes/judged.h"

#include <nlohmann/json.hpp>

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

}  // namespace edgellm
