#include "recipes/plan_problem.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace edgellm {
namespace {

// A plan's file may pad every item up to GGUF's alignment.
constexpr uint64_t kItemPadding = 32;
// What the shapes of all layers take in the header, at most: three arrays instead of three numbers, and
// padding.
constexpr uint64_t kUnevenBytes = 256, kUnevenBytesOfLayer = 3 * sizeof(uint32_t);
constexpr uint64_t kFfnOfNoneTensors = 3;  // gate, up and down

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

}  // namespace

QuantizationPlan PlanProblem::plan_of(const Allocation& choice) const {
  QuantizationPlan plan;
  plan.file_type = kMixedFileType;
  plan.kv_type = kv_type;
  for (size_t i = 0; i < choice.size(); ++i) plan.types[candidates[i]->tensor->name] = types[i][choice[i]];
  return plan;
}

Error PlanProblem::too_small(uint64_t n_budget_bytes) const {
  const uint64_t smallest = smallest_allocation_bytes(items) + rest;
  if (smallest <= n_budget_bytes)
    if (auto choice = allocate(items, budget); !choice.ok())
      return Error{fmt::format("no plan within {:.1f} MB is fast enough on this device: {}",
                               double(n_budget_bytes) / 1e6, choice.error().message)};
  return Error{fmt::format("no plan fits {:.1f} MB: the smallest possible file takes {:.1f} MB ({} bytes)",
                           double(n_budget_bytes) / 1e6, double(smallest) / 1e6, smallest)};
}

Result<PlanProblem> make_plan_problem(const PlanSearchInput& input) {
  PlanProblem p;
  p.kv_type = input.kv_type;
  auto items = allocation_items(*input.candidates);
  auto n_layers = uint32_t(input.block_influence.size());
  for (size_t i = 0; i < items.size(); ++i) {
    const TensorCandidates& c = (*input.candidates)[i];
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
  EDGELLM_ASSIGN_OR_RETURN(p.rest, rest_without(input, p, {}));
  p.budget.n_bytes = input.budget - std::min(input.budget, p.rest);
  if (input.speed && input.speed->most_seconds) p.budget.seconds = *input.speed->most_seconds;
  return p;
}

Result<uint64_t> rest_without(const PlanSearchInput& input, const PlanProblem& whole,
                              const std::set<uint32_t>& dropped_layers) {
  QuantizationPlan plan = whole.plan_of(Allocation(whole.items.size(), 0));
  plan.dropped_layers = dropped_layers;
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, counted_bytes(*input.source, plan, input.lookup));
  for (size_t i = 0; i < whole.items.size(); ++i) {
    const int32_t layer = whole.candidates[i]->layer;
    if (layer >= 0 && dropped_layers.contains(uint32_t(layer))) continue;
    n_bytes = n_bytes - whole.items[i].options[0].n_bytes + kItemPadding;
  }
  return n_bytes;
}

PlanProblem shaped_problem(const PlanSearchInput& input, const PlanProblem& whole, uint64_t rest,
                           const ModelShape& shape, const Hyperparameters& model) {
  PlanProblem p;
  p.kv_type = whole.kv_type;
  const bool is_uneven =
      !shape.dropped_attention.empty() || !shape.dropped_ffn.empty() || !shape.n_feed_forward.empty();
  p.rest =
      rest + (is_uneven ? kUnevenBytes + kUnevenBytesOfLayer * model.n_layers : 0) +
      shape.dropped_ffn.size() * kFfnOfNoneTensors * kChannelsOfNone * sizeof(uint16_t) * model.n_embedding;
  p.budget = AllocationBudget(input.budget - std::min(input.budget, p.rest), whole.budget.seconds);
  for (size_t i = 0; i < whole.items.size(); ++i) {
    const TensorCandidates& c = *whole.candidates[i];
    if (shape.leaves_out(c.role, c.layer)) continue;
    p.candidates.push_back(&c);
    p.items.push_back(whole.items[i]);
    p.types.push_back(whole.types[i]);
    p.groups.push_back(whole.groups[i]);
    const double share = shape.share_left(c.role, c.layer, model);
    if (share == 1) continue;
    for (AllocationOption& option : p.items.back().options) {
      option.n_bytes = uint64_t(share * double(option.n_bytes));
      option.cost *= share;
      option.seconds *= share;
    }
  }
  return p;
}

Status limit_seconds(const PlanSearchInput& input, PlanProblem& p) {
  if (!input.speed || input.speed->most_seconds) return {};
  EDGELLM_ASSIGN_OR_RETURN(Allocation fast,
                           allocate_fastest(p.items, p.budget.n_bytes, input.speed->most_harm));
  p.budget.seconds = allocation_seconds(p.items, fast);
  return {};
}

Result<std::optional<double>> least_predicted_harm(const PlanProblem& problem, size_t n_steps) {
  if (!can_allocate(problem.items, problem.budget, n_steps)) return std::optional<double>();
  EDGELLM_ASSIGN_OR_RETURN(Allocation choice, allocate(problem.items, problem.budget, n_steps));
  return std::optional<double>(allocation_cost(problem.items, choice));
}

Result<std::optional<double>> least_predicted_harm(const PlanSearchInput& input) {
  EDGELLM_ASSIGN_OR_RETURN(PlanProblem problem, make_plan_problem(input));
  return least_predicted_harm(problem);
}

bool may_drop_layers(const GgufFile& source, uint32_t n_layers) {
  QuantizationPlan without_first;
  without_first.dropped_layers = {0};
  return n_layers > 2 && planned_file(source, without_first).ok();
}

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

}  // namespace edgellm
