#include "recipes/kv_choice.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/output_file.h"
#include "recipes/json_file.h"

namespace edgellm {

Result<KvChoice> choose_kv_type(const PlanSearchInput& with_f16, uint64_t budget_with_q8_0,
                                const std::function<Result<double>()>& measure_kl) {
  KvChoice choice;
  PlanSearchInput with_q8_0 = with_f16;
  with_q8_0.budget = budget_with_q8_0;
  with_q8_0.kv_type = KvType::q8_0;
  EDGELLM_ASSIGN_OR_RETURN(choice.harm_with_f16, least_predicted_harm(with_f16));
  EDGELLM_ASSIGN_OR_RETURN(choice.harm_with_q8_0, least_predicted_harm(with_q8_0));
  if (!choice.harm_with_f16) {
    choice.type = KvType::q8_0;
    return choice;
  }
  if (!choice.harm_with_q8_0 || *choice.harm_with_q8_0 >= *choice.harm_with_f16) return choice;
  EDGELLM_ASSIGN_OR_RETURN(choice.kl_of_q8_0, measure_kl());
  if (*choice.harm_with_q8_0 + *choice.kl_of_q8_0 < *choice.harm_with_f16) choice.type = KvType::q8_0;
  return choice;
}

Result<double> measure_cache_kl(MeasuredModel& with_f16, std::shared_ptr<const GgufFile> source,
                                const RuntimeModelOptions& with_type,
                                const std::vector<TensorCandidates>& candidates, CandidateStore& store,
                                const TextWindows& text, const ReferenceLogits& reference,
                                const std::filesystem::path& known) {
  if (auto kl = read_json<double>(known)) return *kl;
  const QuantizationPlan plan = stand_in_plan(candidates);
  EDGELLM_ASSIGN_OR_RETURN(DivergenceResult before, with_f16.measure(plan, text, reference));
  EDGELLM_ASSIGN_OR_RETURN(auto model, RuntimeLanguageModel::load(source, with_type));
  MeasuredModel with_cache(*model, *source, store);
  EDGELLM_ASSIGN_OR_RETURN(DivergenceResult after, with_cache.measure(plan, text, reference));
  const double kl = std::max(0.0, after.mean_kl - before.mean_kl);
  EDGELLM_RETURN_IF_ERROR(write_text_file(known, nlohmann::json(kl).dump()));
  return kl;
}

}  // namespace edgellm
