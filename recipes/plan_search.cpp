#include "recipes/plan_search.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/output_file.h"
#include "recipes/json_file.h"
#include "recipes/plan_log.h"
#include "recipes/pruned_weights.h"

namespace edgellm {
namespace {

// Of the start's predicted harm: a preset beyond it is not encoded to be measured, for what is predicted is
// right to a quarter or so.
constexpr double kHopeless = 2;
constexpr double kFarBehind = 1.5;  // of the least KL

// The candidate that stands for a type: itself, or the finest of no more bits (an older format beside a newer
// one, Q3_K beside IQ3_S), or the coarsest.
size_t nearest_candidate(const TensorCandidates& c, TensorType type) {
  size_t nearest = 0;
  for (size_t i = 0; i < c.types.size(); ++i) {
    if (c.types[i] == type) return i;
    if (info(c.types[i]).bits_per_value() <= info(type).bits_per_value()) nearest = i;
  }
  return nearest;
}

class Search {
 public:
  Search(MeasuredModel& model, const PlanSearchInput& input, const Progress& progress)
      : model_(model), input_(input), progress_(progress), log_(input.log) {}

  Result<PlanSearchResult> run() {
    EDGELLM_ASSIGN_OR_RETURN(problem_, make_plan_problem(input_));
    if (!problem_.fits()) return problem_.too_small(input_.budget);
    EDGELLM_RETURN_IF_ERROR(limit_seconds(input_, problem_));
    EDGELLM_RETURN_IF_ERROR(begin());
    EDGELLM_RETURN_IF_ERROR(evolve_plan());
    EDGELLM_RETURN_IF_ERROR(measure_presets());
    PlanSearchResult result;
    result.tried = tried_;
    result.unlikely = unlikely_;
    result.predicted_harm = predicted_harm_;
    result.most_seconds = problem_.budget.seconds;
    result.best = best();
    return result;
  }

  Result<std::optional<double>> kl_before() {
    EDGELLM_ASSIGN_OR_RETURN(problem_, make_plan_problem(input_));
    if (!problem_.fits()) return std::optional<double>();
    EDGELLM_RETURN_IF_ERROR(limit_seconds(input_, problem_));
    EDGELLM_RETURN_IF_ERROR(begin());
    EDGELLM_RETURN_IF_ERROR(measure_presets());
    return std::optional(best().kl);
  }

 private:
  const MeasuredPlan& best() const {
    return *std::min_element(tried_.begin(), tried_.end(),
                             [](const MeasuredPlan& a, const MeasuredPlan& b) { return a.kl < b.kl; });
  }

  Result<double> kl_on(const TextWindows& text, const QuantizationPlan& plan) {
    EDGELLM_ASSIGN_OR_RETURN(DivergenceResult d, model_.measure(plan, text, *input_.reference));
    return d.mean_kl;
  }

  // On all of the text, unless that is known already.
  Result<double> kl(std::string_view name, const QuantizationPlan& plan) {
    const std::string key = plan_hash(plan);
    const auto known = log_.find(key);
    if (known && log_.has_plan(key)) return *known;
    EDGELLM_ASSIGN_OR_RETURN(const uint64_t n_bytes, planned_file_bytes(*input_.source, plan));
    double measured = known.value_or(0);
    if (!known) {
      EDGELLM_RETURN_IF_ERROR(model_.encode(plan, progress_));
      EDGELLM_ASSIGN_OR_RETURN(measured, kl_on(input_.all_text, plan));
    }
    EDGELLM_RETURN_IF_ERROR(log_.add(key, {std::string(name), n_bytes, measured}));
    return measured;
  }

  // With the plan that is predicted to be the best, or where an earlier run stopped.
  Status begin() {
    EDGELLM_ASSIGN_OR_RETURN(Allocation start, allocate(problem_.items, problem_.budget));
    predicted_harm_ = allocation_cost(problem_.items, start);
    EDGELLM_RETURN_IF_ERROR(read_checkpoint());
    // What an earlier run encoded may be gone again.
    if (state_.choice.size() == problem_.items.size())
      return model_.encode(problem_.plan_of(state_.choice), progress_);
    state_ = {};
    state_.choice = std::move(start);
    EDGELLM_ASSIGN_OR_RETURN(state_.measured, kl("predicted", problem_.plan_of(state_.choice)));
    EDGELLM_RETURN_IF_ERROR(remember("predicted", problem_.plan_of(state_.choice), state_.measured));
    return write_checkpoint();
  }

  Status evolve_plan() {
    ProgressMeter meter(progress_, "searching", double(input_.evolution.n_generations),
                        double(state_.generation));
    MeasureAllocation measure = [&](const Allocation& choice, int fidelity) -> Result<double> {
      meter.add(fidelity == 0 ? 0.9 / double(input_.evolution.n_offspring) : 0.0,
                fmt::format("KL {:.4f} so far", state_.measured));
      const QuantizationPlan plan = problem_.plan_of(choice);
      return fidelity == 0 ? kl_on(input_.little_text, plan) : kl("candidate", plan);
    };
    OnGeneration on_generation = [&](const EvolutionState& state) -> Status {
      meter.add(0.1, fmt::format("KL {:.4f} so far", state.measured));
      model_.give_back();
      return write_checkpoint();
    };
    EDGELLM_RETURN_IF_ERROR(evolve(problem_.items, problem_.groups, problem_.budget, input_.evolution,
                                   measure, on_generation, state_));
    meter.finish();
    return remember("searched", problem_.plan_of(state_.choice), state_.measured);
  }

  // Every preset that fits is a rival; the best by predicted harm are measured, unless it is hopeless.
  Status measure_presets() {
    struct Rival {
      const Preset* preset;
      QuantizationPlan plan;
      double predicted;
    };
    std::vector<Rival> rivals;
    auto items = allocation_items(*input_.candidates);
    for (const Preset& preset : presets()) {
      EDGELLM_ASSIGN_OR_RETURN(QuantizationPlan plan, preset_plan(*input_.source, preset));
      // What stands only for a part that is left out stays as it is.
      std::erase_if(plan.types, [&](const auto& type) { return !is_candidate(type.first); });
      if (!tensors_losing_zeros(*input_.source, plan).empty()) continue;
      plan.kv_type = input_.kv_type;
      EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, counted_bytes(*input_.source, plan, input_.lookup));
      if (n_bytes > input_.budget || !is_fast_enough(plan)) continue;
      double predicted = 0;
      for (size_t i = 0; i < items.size(); ++i) {
        const TensorCandidates& c = (*input_.candidates)[i];
        predicted += items[i].options[nearest_candidate(c, plan.types[c.tensor->name])].cost;
      }
      rivals.push_back({&preset, std::move(plan), predicted});
    }
    std::stable_sort(rivals.begin(), rivals.end(),
                     [](const Rival& a, const Rival& b) { return a.predicted < b.predicted; });
    rivals.resize(std::min(rivals.size(), input_.n_presets));
    for (const Rival& rival : rivals) {
      if (rival.predicted <= kHopeless * predicted_harm_) continue;
      EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, planned_file_bytes(*input_.source, rival.plan));
      unlikely_.push_back({std::string(rival.preset->name), n_bytes, rival.predicted});
    }
    std::erase_if(rivals, [&](const Rival& r) { return r.predicted > kHopeless * predicted_harm_; });
    ProgressMeter meter(progress_, "measuring presets", double(rivals.size()));
    for (const Rival& rival : rivals) {
      EDGELLM_ASSIGN_OR_RETURN(double measured, kl(rival.preset->name, rival.plan));
      EDGELLM_RETURN_IF_ERROR(remember(std::string(rival.preset->name), rival.plan, measured));
      tried_.back().is_preset = true;
      meter.add(1, std::string(rival.preset->name));
    }
    meter.finish();
    return {};
  }

  bool is_candidate(const std::string& name) const {
    return std::any_of(input_.candidates->begin(), input_.candidates->end(),
                       [&](const TensorCandidates& c) { return c.tensor->name == name; });
  }

  bool is_fast_enough(const QuantizationPlan& plan) const {
    if (!input_.speed) return true;
    auto seconds = predicted_seconds_per_token(*input_.source, plan, *input_.speed->profile);
    return seconds && *seconds <= problem_.budget.seconds;
  }

  Status remember(std::string name, QuantizationPlan plan, double measured) {
    EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, planned_file_bytes(*input_.source, plan));
    tried_.push_back({std::move(name), std::move(plan), n_bytes, measured});
    return {};
  }

  Status write_checkpoint() {
    nlohmann::json j;
    j["generation"] = state_.generation;
    j["idle"] = state_.n_idle;
    j["log_factors"] = state_.log_factors;
    j["choice"] = state_.choice;
    j["measured"] = state_.measured;
    j["predicted_kl"] = tried_.front().kl;
    return write_text_file(input_.checkpoint, j.dump());
  }

  Status read_checkpoint() {
    auto j = read_json<nlohmann::json>(input_.checkpoint);
    if (!j) return {};
    EvolutionState state;
    double predicted_kl = 0;
    try {
      state.generation = j->at("generation");
      state.n_idle = j->at("idle");
      state.log_factors = j->at("log_factors").get<std::vector<double>>();
      state.choice = j->at("choice").get<Allocation>();
      state.measured = j->at("measured");
      predicted_kl = j->at("predicted_kl");
    } catch (const nlohmann::json::exception&) {
      return {};
    }
    if (!is_choice_of_problem(state)) return {};
    state_ = std::move(state);
    EDGELLM_ASSIGN_OR_RETURN(Allocation start, allocate(problem_.items, problem_.budget));
    return remember("predicted", problem_.plan_of(start), predicted_kl);
  }

  bool is_choice_of_problem(const EvolutionState& state) const {
    const std::vector<AllocationItem>& items = problem_.items;
    if (state.choice.size() != items.size()) return false;
    if (!state.log_factors.empty() && state.log_factors.size() != items.size()) return false;
    for (size_t i = 0; i < items.size(); ++i)
      if (state.choice[i] >= items[i].options.size()) return false;
    return allocation_bytes(items, state.choice) <= problem_.budget.n_bytes &&
           allocation_seconds(items, state.choice) <= problem_.budget.seconds;
  }

  MeasuredModel& model_;
  const PlanSearchInput& input_;
  const Progress& progress_;
  PlanLog log_;
  PlanProblem problem_;
  EvolutionState state_;
  double predicted_harm_ = 0;
  std::vector<MeasuredPlan> tried_;
  std::vector<UnlikelyPlan> unlikely_;
};

}  // namespace

Result<std::optional<double>> kl_before_search(MeasuredModel& model, const PlanSearchInput& input,
                                               const Progress& progress) {
  return Search(model, input, progress).kl_before();
}

Result<PlanSearchResult> search_plan(MeasuredModel& model, const PlanSearchInput& input,
                                     const Progress& progress) {
  return Search(model, input, progress).run();
}

std::vector<MeasuredPlan> plans_to_judge(std::vector<MeasuredPlan> tried, size_t n) {
  std::stable_sort(tried.begin(), tried.end(),
                   [](const MeasuredPlan& a, const MeasuredPlan& b) { return a.kl < b.kl; });
  std::vector<MeasuredPlan> best;
  bool has_preset = false;
  for (MeasuredPlan& plan : tried) {
    auto known = std::find_if(best.begin(), best.end(), [&](const MeasuredPlan& other) {
      return plan_hash(other.plan) == plan_hash(plan.plan);
    });
    const bool is_first_preset = plan.is_preset && !std::exchange(has_preset, has_preset || plan.is_preset);
    if (known != best.end()) {
      known->is_preset = known->is_preset || plan.is_preset;
      continue;
    }
    const bool is_near = best.size() < n && (best.empty() || plan.kl <= kFarBehind * best.front().kl);
    if (is_near || is_first_preset) best.push_back(std::move(plan));
  }
  return best;
}

}  // namespace edgellm
