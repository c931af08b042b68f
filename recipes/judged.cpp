#include "recipes/judged.h"

#include <nlohmann/json.hpp>

namespace edgellm {

Result<Judged> judge_model(LanguageModel& model, const TextWindows& text, const ReferenceLogits& reference,
                           const Progress& progress) {
  EDGELLM_ASSIGN_OR_RETURN(DivergenceResult d, measure_divergence(model, text, reference, progress));
  return Judged{d.mean_kl, d.standard_error, d.percentile_99_kl, d.same_top, d.perplexity.perplexity};
}

nlohmann::json to_json(const Judged& j) {
  return {{"mean_kl", j.kl},
          {"mean_kl_standard_error", j.kl_error},
          {"percentile_99_kl", j.percentile_99},
          {"same_top", j.same_top},
          {"perplexity", j.perplexity}};
}

}  // namespace edgellm
