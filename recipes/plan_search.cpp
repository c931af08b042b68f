#include "recipes/plan_search.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/base/output_file.h"
#include "recipes/json_file.h"
#include "recipes/pruned_weights.h"

namespace edgellm {
namespace {

constexpr size_t kBestPresets = 2;     // measured, of those that fit
constexpr size_t kDropCandidates = 8;  // layers of least Block Influence that are tried
constexpr double kNotMeasured = 1e300;

// The candidates that are left when some layers are dropped, and their items.
struct Problem {
  std::set<uint32_t> dropped;
  std::vector<const TensorCandidates*> candidates;
  std::vector<AllocationItem> items;
  std::vector<std::vector<TensorType>> types;  // of each item's options
  std::vector<std::vector<uint32_t>> groups;
  uint64_t rest = 0;        // header, norms and padding: what the file has beyond the items
  AllocationBudget budget;  // for the items alone
  KvType kv_type = KvType::f16;
};

// A plan's file may pad every item up to GGUF's alignment.
constexpr uint64_t kItemPadding = 32;

// Layers that alternate by their number cannot be left out, and a model of two layers has none to spare.
bool may_drop_layers(const GgufFile& source, uint32_t n_layers) {
  return n_layers > 2 && planned_file(source, {{}, {0}, 0}).ok();
}

// At most this many are left out.
uint32_t most_dropped(uint32_t n_layers) {
  return n_layers / 2;
}

QuantizationPlan plan_of(const Problem& problem, const Allocation& choice) {
  QuantizationPlan plan;
  plan.file_type = kMixedFileType;
  plan.dropped_layers = problem.dropped;
  plan.kv_type = problem.kv_type;
  for (size_t i = 0; i < choice.size(); ++i)
    plan.types[problem.candidates[i]->tensor->name] = problem.types[i][choice[i]];
  return plan;
}

uint64_t bytes_beyond_lookup(uint64_t n_bytes, const LookupTensor& lookup) {
  return n_bytes - std::min(n_bytes, lookup.most_bytes);
}

// Leaves the options whose speed is known, each with its seconds. An embedding that is only looked up takes
// no time. Error when none is left.
Status time_options(const PlanSearchInput& input, const TensorCandidates& c, AllocationItem& item,
                    std::vector<TensorType>& types) {
  bool is_table = c.role == TensorRole::token_embedding && !has_tied_embedding(*input.source);
  AllocationItem timed;
  std::vector<TensorType> known;
  std::string unknown;
  for (size_t i = 0; i < types.size(); ++i) {
    auto seconds = input.speed->profile->seconds_per_weight(types[i]);
    if (!seconds && !is_table) {
      unknown += fmt::format("{}{}", unknown.empty() ? "" : ", ", to_string(types[i]));
      continue;
    }
    timed.options.push_back(item.options[i]);
    if (!is_table) timed.options.back().seconds = *seconds * double(c.tensor->n_values());
    known.push_back(types[i]);
  }
  if (known.empty())
    return Error{fmt::format("the device profile has no speed of any type that tensor {} can take ({})",
                             c.tensor->name, unknown)};
  item = std::move(timed);
  types = std::move(known);
  return {};
}

Result<Problem> make_problem(const PlanSearchInput& input, const std::set<uint32_t>& dropped) {
  Problem p;
  p.dropped = dropped;
  p.kv_type = input.kv_type;
  auto items = allocation_items(*input.candidates);
  auto n_layers = uint32_t(input.block_influence.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const TensorCandidates& c = (*input.candidates)[i];
    if (c.layer >= 0 && dropped.contains(uint32_t(c.layer))) continue;
    p.candidates.push_back(&c);
    p.items.push_back(items[i]);
    p.types.push_back(c.types);
    if (input.speed) EDGELLM_RETURN_IF_ERROR(time_options(input, c, p.items.back(), p.types.back()));
    if (input.lookup && input.lookup->name == c.tensor->name)
      for (AllocationOption& option : p.items.back().options)
        option.n_bytes -= bytes_beyond_lookup(option.n_bytes, *input.lookup);
    auto role = uint32_t(c.role), quarter = c.layer < 0 ? 4 : uint32_t(c.layer) * 4 / n_layers;
    p.groups.push_back({role, 64 + quarter});
  }
  Allocation any(p.items.size(), 0);
  EDGELLM_ASSIGN_OR_RETURN(uint64_t whole, counted_bytes(*input.source, plan_of(p, any), input.lookup));
  p.rest = whole - allocation_bytes(p.items, any) + kItemPadding * p.items.size();
  p.budget.n_bytes = input.budget - std::min(input.budget, p.rest);
  if (input.speed && input.speed->most_seconds) p.budget.seconds = *input.speed->most_seconds;
  return p;
}

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

bool fits(const Problem& p) {
  return can_allocate(p.items, p.budget);
}

// Where no time is given: that of the fastest plan that does no more harm than is allowed.
Status limit_seconds(const PlanSearchInput& input, Problem& p) {
  if (!input.speed || input.speed->most_seconds) return {};
  EDGELLM_ASSIGN_OR_RETURN(Allocation fast,
                           allocate_fastest(p.items, p.budget.n_bytes, input.speed->most_harm));
  p.budget.seconds = allocation_seconds(p.items, fast);
  return {};
}

class Search {
 public:
  Search(MeasuredModel& model, const PlanSearchInput& input, const Progress& progress)
      : model_(model), input_(input), progress_(progress) {}

  Result<PlanSearchResult> run() {
    EDGELLM_RETURN_IF_ERROR(read_checkpoint());
    EDGELLM_RETURN_IF_ERROR(choose_dropped_layers());
    EDGELLM_RETURN_IF_ERROR(limit_seconds(input_, problem_));
    EDGELLM_RETURN_IF_ERROR(evolve_plan());
    EDGELLM_RETURN_IF_ERROR(measure_presets());
    PlanSearchResult result;
    result.tried = tried_;
    result.most_seconds = problem_.budget.seconds;
    result.best = *std::min_element(tried_.begin(), tried_.end(),
                                    [](const MeasuredPlan& a, const MeasuredPlan& b) { return a.kl < b.kl; });
    return result;
  }

 private:
  Result<double> kl(const QuantizationPlan& plan, const TextWindows& text) {
    EDGELLM_ASSIGN_OR_RETURN(DivergenceResult d, model_.measure(plan, text, *input_.reference));
    return d.mean_kl;
  }

  Result<double> kl_of_start(const Problem& p, const TextWindows& text) {
    EDGELLM_ASSIGN_OR_RETURN(Allocation choice, allocate(p.items, p.budget));
    return kl(plan_of(p, choice), text);
  }

  // Layers are dropped one by one, each time the one that seems to do the least harm, as long as nothing fits
  // or as the plan without it measures better than the plan with it.
  Status choose_dropped_layers() {
    EDGELLM_ASSIGN_OR_RETURN(problem_, make_problem(input_, dropped_));
    if (drops_decided_) return {};
    auto n_layers = uint32_t(input_.block_influence.size());
    bool may_drop = input_.drop_layers && may_drop_layers(*input_.source, n_layers);
    if (!fits(problem_) && !may_drop) return too_small(problem_);
    if (fits(problem_) && kl_without_ == kNotMeasured) {
      EDGELLM_ASSIGN_OR_RETURN(kl_without_, kl_of_start(problem_, input_.little_text));
    }
    ProgressMeter meter(progress_, "trying to drop layers", double(kDropCandidates));
    while (may_drop && dropped_.size() < most_dropped(n_layers)) {
      EDGELLM_ASSIGN_OR_RETURN(DropEstimate estimate, layer_missed_least(n_layers, meter));
      if (fits(problem_) && estimate.kl >= kl_without_) break;
      std::set<uint32_t> dropped = dropped_;
      dropped.insert(estimate.layer);
      EDGELLM_ASSIGN_OR_RETURN(Problem next, make_problem(input_, dropped));
      if (fits(next)) {
        EDGELLM_ASSIGN_OR_RETURN(double measured, kl_of_start(next, input_.little_text));
        if (fits(problem_) && measured >= kl_without_) break;
        kl_without_ = measured;
      }
      dropped_ = std::move(dropped);
      problem_ = std::move(next);
      EDGELLM_RETURN_IF_ERROR(write_checkpoint());
    }
    meter.finish();
    if (!fits(problem_)) return too_small(problem_);
    drops_decided_ = true;
    return write_checkpoint();
  }

  struct DropEstimate {
    uint32_t layer = 0;
    double kl = kNotMeasured;
  };
  // Of the layers of least Block Influence, the one without which the types of today measure best, and the KL
  // to expect once the bytes it frees are spent. Nothing is encoded for it.
  Result<DropEstimate> layer_missed_least(uint32_t n_layers, ProgressMeter& meter) {
    std::vector<uint32_t> order(n_layers);
    std::iota(order.begin(), order.end(), 0u);
    std::erase_if(order, [&](uint32_t l) { return dropped_.contains(l); });
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return input_.block_influence[a] < input_.block_influence[b];
    });
    order.resize(std::min(order.size(), kDropCandidates));
    Allocation today(problem_.items.size(), 0);
    if (fits(problem_)) {
      EDGELLM_ASSIGN_OR_RETURN(today, allocate(problem_.items, problem_.budget));
    }
    QuantizationPlan plan = plan_of(problem_, today);
    DropEstimate best;
    for (uint32_t layer : order) {
      plan.dropped_layers = dropped_;
      plan.dropped_layers.insert(layer);
      EDGELLM_ASSIGN_OR_RETURN(double measured, kl(plan, input_.little_text));
      EDGELLM_ASSIGN_OR_RETURN(Problem without, make_problem(input_, plan.dropped_layers));
      if (fits(without)) {
        EDGELLM_ASSIGN_OR_RETURN(Allocation then, allocate(without.items, without.budget));
        measured += allocation_cost(without.items, then) - allocation_cost(problem_.items, today);
      }
      if (measured < best.kl) best = {layer, measured};
      meter.add(1);
    }
    return best;
  }

  Status too_small(const Problem& p) const {
    uint64_t smallest = smallest_allocation_bytes(p.items) + p.rest;
    if (smallest <= input_.budget) {
      auto choice = allocate(p.items, p.budget);
      if (!choice.ok())
        return Error{fmt::format("no plan within {:.1f} MB is fast enough on this device: {}",
                                 double(input_.budget) / 1e6, choice.error().message)};
    }
    return Error{
        fmt::format("no plan fits {:.1f} MB: the smallest possible file {}takes {:.1f} MB ({} bytes)",
                    double(input_.budget) / 1e6,
                    p.dropped.empty() ? "" : fmt::format("(without {} layers) ", p.dropped.size()),
                    double(smallest) / 1e6, smallest)};
  }

  Status evolve_plan() {
    if (state_.choice.size() != problem_.items.size()) {
      state_ = {};
      EDGELLM_ASSIGN_OR_RETURN(state_.choice, allocate(problem_.items, problem_.budget));
      EDGELLM_ASSIGN_OR_RETURN(state_.measured, kl(plan_of(problem_, state_.choice), input_.all_text));
      EDGELLM_RETURN_IF_ERROR(remember("predicted", plan_of(problem_, state_.choice), state_.measured));
      EDGELLM_RETURN_IF_ERROR(write_checkpoint());
    }
    ProgressMeter meter(progress_, "searching", double(input_.evolution.n_generations),
                        double(state_.generation));
    MeasureAllocation measure = [&](const Allocation& choice, int fidelity) -> Result<double> {
      meter.add(fidelity == 0 ? 0.9 / double(input_.evolution.n_offspring) : 0.0,
                fmt::format("KL {:.4f} so far", state_.measured));
      return kl(plan_of(problem_, choice), fidelity == 0 ? input_.little_text : input_.all_text);
    };
    OnGeneration on_generation = [&](const EvolutionState& state) -> Status {
      meter.add(0.1, fmt::format("KL {:.4f} so far", state.measured));
      model_.give_back();
      return write_checkpoint();
    };
    EDGELLM_RETURN_IF_ERROR(evolve(problem_.items, problem_.groups, problem_.budget, input_.evolution,
                                   measure, on_generation, state_));
    meter.finish();
    return remember("searched", plan_of(problem_, state_.choice), state_.measured);
  }

  // Every preset that fits is a rival; the best by predicted cost are measured.
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
    rivals.resize(std::min(rivals.size(), kBestPresets));
    ProgressMeter meter(progress_, "measuring presets", double(rivals.size()));
    for (const Rival& rival : rivals) {
      EDGELLM_ASSIGN_OR_RETURN(double measured, kl(rival.plan, input_.all_text));
      EDGELLM_RETURN_IF_ERROR(remember(std::string(rival.preset->name), rival.plan, measured));
      meter.add(1, std::string(rival.preset->name));
    }
    meter.finish();
    return {};
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
    j["dropped"] = dropped_;
    j["drops_decided"] = drops_decided_;
    j["kl_without"] = kl_without_;
    j["generation"] = state_.generation;
    j["idle"] = state_.n_idle;
    j["log_factors"] = state_.log_factors;
    j["choice"] = state_.choice;
    j["measured"] = state_.measured;
    if (!tried_.empty()) j["predicted_kl"] = tried_.front().kl;
    return write_text_file(input_.checkpoint, j.dump());
  }

  Status read_checkpoint() {
    auto j = read_json<nlohmann::json>(input_.checkpoint);
    if (!j) return {};
    std::set<uint32_t> dropped;
    EvolutionState state;
    bool drops_decided = false;
    double kl_without = kNotMeasured, predicted_kl = kNotMeasured;
    try {
      dropped = j->at("dropped").get<std::set<uint32_t>>();
      drops_decided = j->at("drops_decided");
      kl_without = j->at("kl_without");
      state.generation = j->at("generation");
      state.n_idle = j->at("idle");
      state.log_factors = j->at("log_factors").get<std::vector<double>>();
      state.choice = j->at("choice").get<Allocation>();
      state.measured = j->at("measured");
      predicted_kl = j->value("predicted_kl", kNotMeasured);
    } catch (const nlohmann::json::exception&) {
      return {};
    }
    if (!dropped.empty() && *dropped.rbegin() >= input_.block_influence.size()) return {};
    EDGELLM_ASSIGN_OR_RETURN(Problem p, make_problem(input_, dropped));
    if (drops_decided) EDGELLM_RETURN_IF_ERROR(limit_seconds(input_, p));
    dropped_ = std::move(dropped);
    drops_decided_ = drops_decided;
    kl_without_ = kl_without;
    if (!drops_decided || predicted_kl == kNotMeasured || !is_choice_of(p, state)) return {};
    state_ = std::move(state);
    EDGELLM_ASSIGN_OR_RETURN(Allocation start, allocate(p.items, p.budget));
    return remember("predicted", plan_of(p, start), predicted_kl);
  }

  static bool is_choice_of(const Problem& p, const EvolutionState& state) {
    if (state.choice.size() != p.items.size()) return false;
    if (!state.log_factors.empty() && state.log_factors.size() != p.items.size()) return false;
    for (size_t i = 0; i < p.items.size(); ++i)
      if (state.choice[i] >= p.items[i].options.size()) return false;
    return allocation_bytes(p.items, state.choice) <= p.budget.n_bytes &&
           allocation_seconds(p.items, state.choice) <= p.budget.seconds;
  }

  MeasuredModel& model_;
  const PlanSearchInput& input_;
  const Progress& progress_;
  std::set<uint32_t> dropped_;
  bool drops_decided_ = false;
  double kl_without_ = kNotMeasured;  // the layers dropped so far, on the little text
  Problem problem_;
  EvolutionState state_;
  std::vector<MeasuredPlan> tried_;
};

}  // namespace

Result<uint64_t> counted_bytes(const GgufFile& source, const QuantizationPlan& plan,
                               const std::optional<LookupTensor>& lookup) {
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, planned_file_bytes(source, plan));
  if (!lookup) return n_bytes;
  const GgufTensor* tensor = source.find(lookup->name);
  auto type = plan.types.find(lookup->name);
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_tensor_bytes,
                           tensor_bytes({tensor->name, type == plan.types.end() ? tensor->type : type->second,
                                         tensor->dimensions}));
  return n_bytes - bytes_beyond_lookup(n_tensor_bytes, *lookup);
}

Result<uint64_t> smallest_budget(const GgufFile& source, const std::vector<TensorCandidates>& candidates,
                                 bool drop_layers, const std::optional<LookupTensor>& lookup,
                                 KvType kv_type) {
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(source.metadata()));
  QuantizationPlan plan;
  plan.kv_type = kv_type;
  std::vector<uint64_t> n_layer_bytes(h.n_layers);
  for (const auto& c : candidates) {
    plan.types[c.tensor->name] = c.types.front();
    if (c.layer < 0 || uint32_t(c.layer) >= h.n_layers) continue;
    EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes,
                             tensor_bytes({c.tensor->name, c.types.front(), c.tensor->dimensions}));
    n_layer_bytes[size_t(c.layer)] += n_bytes;
  }
  if (drop_layers && may_drop_layers(source, h.n_layers)) {
    std::vector<uint32_t> order(h.n_layers);
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t a, uint32_t b) { return n_layer_bytes[a] > n_layer_bytes[b]; });
    plan.dropped_layers.insert(order.begin(), order.begin() + most_dropped(h.n_layers));
  }
  size_t n_items = 0;
  for (const auto& c : candidates) n_items += c.layer < 0 || !plan.dropped_layers.contains(uint32_t(c.layer));
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, counted_bytes(source, plan, lookup));
  return n_bytes + kItemPadding * n_items;
}

Result<std::optional<double>> least_predicted_harm(const PlanSearchInput& input) {
  EDGELLM_ASSIGN_OR_RETURN(Problem problem, make_problem(input, {}));
  if (!fits(problem)) return std::optional<double>();
  EDGELLM_ASSIGN_OR_RETURN(Allocation choice, allocate(problem.items, problem.budget));
  return std::optional<double>(allocation_cost(problem.items, choice));
}

Result<PlanSearchResult> search_plan(MeasuredModel& model, const PlanSearchInput& input,
                                     const Progress& progress) {
  return Search(model, input, progress).run();
}

}  // namespace edgellm
