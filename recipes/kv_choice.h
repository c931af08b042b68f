// Which type of KV cache a fit plans with under a memory limit: a smaller cache leaves more bytes for
// weights, and adds errors of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "recipes/plan_search.h"
#include "runtime/decode/runtime_language_model.h"

namespace edgellm {

struct KvChoice {
  KvType type = KvType::f16;
  // Predicted, of the best plan within what each type leaves for weights; none where no plan fits.
  std::optional<double> harm_with_f16, harm_with_q8_0;
  // Mean KL that a cache in q8_0 adds by itself; none where it was not needed for the choice.
  std::optional<double> kl_of_q8_0;
};

// with_f16: its budget is what a cache in f16 leaves. measure_kl is called at most once, and not where q8_0
// gains nothing or where nothing fits without it.
Result<KvChoice> choose_kv_type(const PlanSearchInput& with_f16, uint64_t budget_with_q8_0,
                                const std::function<Result<double>()>& measure_kl);

// What a cache of this type adds to the KL of the stand-in (recipes/tensor_costs.h), at least 0. with_f16:
// the original with its cache in f16; the stand-in is applied to it. What `known` holds is not measured
// again, what is measured is put there.
Result<double> measure_cache_kl(MeasuredModel& with_f16, std::shared_ptr<const GgufFile> source,
                                const RuntimeModelOptions& with_type,
                                const std::vector<TensorCandidates>& candidates, CandidateStore& store,
                                const TextWindows& text, const ReferenceLogits& reference,
                                const std::filesystem::path& known);

}  // namespace edgellm
