// From predicted costs to the plan that is written: allocation, presets as rivals and evolution, all judged
// by measured KL on the search text.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "recipes/plan_problem.h"

namespace edgellm {

struct MeasuredPlan {
  std::string name;  // "searched", or a preset's
  QuantizationPlan plan;
  uint64_t n_file_bytes = 0;
  double kl = 0;  // mean, on all_text
  bool is_preset = false;
};

// A preset that was not worth measuring.
struct UnlikelyPlan {
  std::string name;
  uint64_t n_file_bytes = 0;
  double predicted_harm = 0;
};

struct PlanSearchResult {
  MeasuredPlan best;  // of all
  std::vector<MeasuredPlan>
      tried;  // the start, the searched plan, and the best presets that fit, for the report
  // Presets that fit and are predicted to do far more harm than the start.
  std::vector<UnlikelyPlan> unlikely;
  double predicted_harm = 0;  // of the start
  // Predicted, of a token: what every plan had to meet. Infinite without a SpeedGoal.
  double most_seconds = std::numeric_limits<double>::infinity();
};

// The least KL, on all of the text, of the plan that is predicted to be the best and the presets that fit:
// what a search can only lower. None where nothing fits.
Result<std::optional<double>> kl_before_search(MeasuredModel& model, const PlanSearchInput& input,
                                               const Progress& progress);

// Error when no plan fits: it says the smallest possible.
Result<PlanSearchResult> search_plan(MeasuredModel& model, const PlanSearchInput& input,
                                     const Progress& progress);

// The best n of the plans, none of them twice, and none that is far behind the best: other text would not put
// it before that. Besides them the best preset, for a fit is held against it.
std::vector<MeasuredPlan> plans_to_judge(std::vector<MeasuredPlan> tried, size_t n);

}  // namespace edgellm
