// The choice that a plan is: which types each tensor can take, with what bytes, harm and time, and what they
// all have to fit.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "plan/evolution.h"
#include "recipes/device_profile.h"
#include "recipes/model_shape.h"
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
  TextWindows little_text, all_text;  // of fidelity 0 and 1; little_text is the beginning of all_text
  const ReferenceLogits* reference = nullptr;  // on all_text
  EvolutionOptions evolution;
  size_t n_presets = 2;              // measured: the best by predicted harm of those that fit
  std::filesystem::path checkpoint;  // where a stopped search goes on from; a damaged one is begun anew
  // What plans were measured to have on all_text with this cache, so that none is measured twice
  // (recipes/plan_log.h). Empty: nothing is kept.
  std::filesystem::path log;
};

struct PlanProblem {
  std::vector<const TensorCandidates*> candidates;
  std::vector<AllocationItem> items;
  std::vector<std::vector<TensorType>> types;  // of each item's options
  std::vector<std::vector<uint32_t>> groups;
  uint64_t rest = 0;        // header, norms and padding: what the file has beyond the items
  AllocationBudget budget;  // for the items alone
  KvType kv_type = KvType::f16;

  bool fits() const { return can_allocate(items, budget); }
  QuantizationPlan plan_of(const Allocation& choice) const;
  // That nothing fits the input's budget.
  Error too_small(uint64_t n_budget_bytes) const;
};

// Error where the device profile has no speed of any type that a tensor can take.
Result<PlanProblem> make_plan_problem(const PlanSearchInput& input);
// What the file has beyond the whole problem's items, without these layers.
Result<uint64_t> rest_without(const PlanSearchInput& input, const PlanProblem& whole,
                              const std::set<uint32_t>& dropped_layers);
// Without what the shape leaves out, where the rest of the file is `rest` without the layers left out: as if
// bytes and harm of a narrower tensor were its share of the whole one's.
PlanProblem shaped_problem(const PlanSearchInput& input, const PlanProblem& whole, uint64_t rest,
                           const ModelShape& shape, const Hyperparameters& model);
// Where no time is given: that of the fastest plan that does no more harm than is allowed.
Status limit_seconds(const PlanSearchInput& input, PlanProblem& problem);

// Predicted, of the most accurate plan; none where nothing fits.
Result<std::optional<double>> least_predicted_harm(const PlanProblem& problem, size_t n_steps = 20000);
Result<std::optional<double>> least_predicted_harm(const PlanSearchInput& input);

// Layers that alternate by their number cannot be left out, and a model of two layers has none to spare.
bool may_drop_layers(const GgufFile& source, uint32_t n_layers);
// At most this many are left out.
constexpr uint32_t most_dropped(uint32_t n_layers) {
  return n_layers / 2;
}

// Bytes of the plan's file, the looked-up tensor as far as it counts.
Result<uint64_t> counted_bytes(const GgufFile& source, const QuantizationPlan& plan,
                               const std::optional<LookupTensor>& lookup);
// The smallest budget that a plan fits: the coarsest types, and where layers may be left out without the half
// of them that takes most.
Result<uint64_t> smallest_budget(const GgufFile& source, const std::vector<TensorCandidates>& candidates,
                                 bool drop_layers, const std::optional<LookupTensor>& lookup,
                                 KvType kv_type = KvType::f16);

}  // namespace edgellm
