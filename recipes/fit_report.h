// What a fit found, as the report beside its output tells it (docs/formats.md).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/model_file/gguf.h"
#include "recipes/calibration_text.h"
#include "recipes/compress/compensated_tensors.h"
#include "recipes/compress/trained_tensors.h"
#include "recipes/device_profile.h"
#include "recipes/fit.h"
#include "recipes/fit_model.h"
#include "recipes/fit_pace.h"
#include "recipes/generation_check.h"
#include "recipes/judged.h"
#include "recipes/kv_choice.h"
#include "recipes/measured_run.h"
#include "recipes/plan_log.h"
#include "recipes/plan_search.h"

namespace edgellm {

// The original or the result.
struct FitSide {
  uint64_t n_file_bytes = 0, n_predicted_memory_bytes = 0;
  std::optional<MeasuredRun> run;  // nothing where it was not measured
  Judged judged;
};

// Of the file of a plan for the model (an empty one: the model's own), with what was measured of it.
FitSide fit_side(const FitOptions& options, const FitModel& model, uint64_t n_file_bytes,
                 const QuantizationPlan& plan, KvType kv, const std::optional<MeasuredRun>& run,
                 const Judged& judged);

// A plan that was measured, here or by an earlier fit in the same folder, and that no other is both smaller
// and nearer than.
struct ParetoPlan {
  LoggedPlan plan;
  bool lacks_parts = false;  // of the model, as the result does
};

struct VerifiedPlan {
  std::string name;
  Judged judged;
  bool is_preset = false;
};

// Null where there was no such stage.
struct FitFindings {
  std::string model_hash;
  uint64_t budget = 0;  // of counted_bytes()
  KvType kv_type = KvType::f16;
  std::optional<KvChoice> kv_choice;         // where it was the fit's
  const nlohmann::json* left_out = nullptr;  // what was, and the KL of the plans that decided it
  bool is_output_left_out = false;
  const CalibrationText* text = nullptr;
  size_t n_search = 0, n_verify = 0;  // windows
  FitSide before, after;
  const MeasuredPlan* chosen = nullptr;
  const PlanSearchResult* searched = nullptr;
  std::vector<ParetoPlan> pareto;
  std::vector<VerifiedPlan> verified;
  const Compensation* compensation = nullptr;
  uint64_t n_layer_training_bytes = 0;  // that training layers would have taken, where the machine lacks them
  const GridTraining* training = nullptr;
  const GenerationCheck* generation = nullptr;
  std::vector<std::string> collapsed_plans;  // names of those that were tried and did not talk
  const DeviceProfile* profile = nullptr;
  // What plans had to keep, where they had to.
  std::optional<double> most_seconds, most_harm;
  std::optional<FitSteps> steps;                       // what a time asked for was enough for
  std::vector<std::pair<std::string, double>> stages;  // seconds
};

// original and planned are the same where nothing was left out. Tensors and layers are told by the original's
// names and numbers.
nlohmann::json fit_report(const FitOptions& options, const FitModel& original, const FitModel& planned,
                          const FitFindings& found);

}  // namespace edgellm
