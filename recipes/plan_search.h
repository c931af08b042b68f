// From predicted costs to the plan that is written: allocation, presets as rivals, layers to drop, and
// evolution, all judged by measured KL on the search text.
#pragma once

#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "plan/evolution.h"
#include "recipes/device_profile.h"
#include "recipes/tensor_costs.h"

namespace edgellm {

// A tensor of which a run reads only some rows, so that it counts for at most this many bytes.
struct LookupTensor {
  std::string name;
  uint64_t most_bytes = 0;
};

// What a plan is to be besides accurate. Types that the profile lacks are not used.
struct SpeedGoal {
  const DeviceProfile* profile = nullptr;
  // One of these: the most predicted seconds a token; or as fast as a plan can be whose predicted harm is at
  // most so many times that of the most accurate one, and then no slower.
  std::optional<double> most_seconds;
  double most_harm = 1;
};

struct PlanSearchInput {
  const GgufFile* source = nullptr;
  const std::vector<TensorCandidates>* candidates = nullptr;
  std::vector<double> block_influence;  // [n_layers]
  uint64_t budget = 0;                  // for counted_bytes()
  std::optional<LookupTensor> lookup;
  KvType kv_type = KvType::f16;  // that plans are measured with
  std::optional<SpeedGoal> speed;
  bool drop_layers = true;
  TextWindows little_text, all_text;  // of fidelity 0 and 1; little_text is the beginning of all_text
  const ReferenceLogits* reference = nullptr;  // on all_text
  EvolutionOptions evolution;
  std::filesystem::path checkpoint;  // where a stopped search goes on from; a damaged one is begun anew
};

struct MeasuredPlan {
  std::string name;  // "searched", or a preset's
  QuantizationPlan plan;
  uint64_t n_file_bytes = 0;
  double kl = 0;  // mean, on all_text
};

struct PlanSearchResult {
  MeasuredPlan best;  // of all
  std::vector<MeasuredPlan>
      tried;  // the start, the searched plan, and the best presets that fit, for the report
  // Predicted, of a token: what every plan had to meet. Infinite without a SpeedGoal.
  double most_seconds = std::numeric_limits<double>::infinity();
};

// Bytes of the plan's file, the looked-up tensor as far as it counts.
Result<uint64_t> counted_bytes(const GgufFile& source, const QuantizationPlan& plan,
                               const std::optional<LookupTensor>& lookup);
// The smallest budget that a plan fits: the coarsest types, and where layers may be left out without the half
// of them that takes most.
Result<uint64_t> smallest_budget(const GgufFile& source, const std::vector<TensorCandidates>& candidates,
                                 bool drop_layers, const std::optional<LookupTensor>& lookup,
                                 KvType kv_type = KvType::f16);

// Predicted, of the most accurate plan within the budget that leaves out no layer; none where there is none.
Result<std::optional<double>> least_predicted_harm(const PlanSearchInput& input);

// Error when no plan fits: it says the smallest possible.
Result<PlanSearchResult> search_plan(MeasuredModel& model, const PlanSearchInput& input,
                                     const Progress& progress);

}  // namespace edgellm
