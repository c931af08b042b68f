#include "plan/evolution.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

namespace edgellm {
namespace {

struct Offspring {
  std::vector<double> log_factors;
  Allocation choice;
  double measured = 0;
};

// Sum of 12 uniforms: a normal deviate that is the same with every standard library.
double normal(std::mt19937_64& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += double(random() >> 11) * 0x1p-53;
  return sum;
}

std::vector<AllocationItem> scaled(std::span<const AllocationItem> items,
                                   const std::vector<double>& log_factors) {
  std::vector<AllocationItem> out(items.begin(), items.end());
  for (size_t i = 0; i < out.size(); ++i)
    for (auto& option : out[i].options) option.cost *= std::exp(log_factors[i]);
  return out;
}

std::vector<double> mutated(const std::vector<double>& parent, std::span<const std::vector<uint32_t>> groups,
                            double spread, std::mt19937_64& random) {
  uint32_t n_groups = 0;
  for (const auto& of_item : groups)
    for (uint32_t g : of_item) n_groups = std::max(n_groups, g + 1);
  // Half of the offspring try whole groups, half single items.
  bool whole_groups = random() % 2 == 0;
  std::vector<double> of_group(n_groups);
  for (double& g : of_group) g = whole_groups ? spread * normal(random) : 0;
  std::vector<double> child = parent;
  for (size_t i = 0; i < child.size(); ++i) {
    for (uint32_t g : groups[i]) child[i] += of_group[g];
    child[i] += spread * (whole_groups ? 0.2 : 1.0) * normal(random);
  }
  return child;
}

}  // namespace

Status evolve(std::span<const AllocationItem> items, std::span<const std::vector<uint32_t>> groups,
              const AllocationBudget& budget, const EvolutionOptions& options,
              const MeasureAllocation& measure, const OnGeneration& on_generation, EvolutionState& state) {
  if (state.log_factors.empty()) state.log_factors.assign(items.size(), 0.0);
  while (state.generation < options.n_generations && state.n_idle < options.patience) {
    double before = state.measured;
    std::mt19937_64 random(options.seed * 1000003 + state.generation);
    double spread = options.spread * std::pow(0.1, double(state.generation) / double(options.n_generations));
    std::set<Allocation> seen = {state.choice};
    std::vector<Offspring> offspring;
    EDGELLM_ASSIGN_OR_RETURN(const double of_parent, measure(state.choice, 0));
    bool is_hopeful = false;
    for (size_t tries = 0; offspring.size() < options.n_offspring && tries < 4 * options.n_offspring;
         ++tries) {
      Offspring child;
      child.log_factors = mutated(state.log_factors, groups, spread, random);
      // The parent's choice fits, so that only the coarser steps can make a choice seem not to.
      auto choice = allocate(scaled(items, child.log_factors), budget, options.n_steps);
      if (!choice.ok()) continue;
      child.choice = std::move(*choice);
      if (!seen.insert(child.choice).second) continue;
      EDGELLM_ASSIGN_OR_RETURN(child.measured, measure(child.choice, 0));
      is_hopeful |= child.measured < of_parent;
      offspring.push_back(std::move(child));
      if (!is_hopeful && 2 * offspring.size() >= options.n_offspring) break;
    }
    std::erase_if(offspring, [&](const Offspring& child) { return child.measured >= of_parent; });
    std::stable_sort(offspring.begin(), offspring.end(),
                     [](const Offspring& a, const Offspring& b) { return a.measured < b.measured; });
    offspring.resize(std::min(offspring.size(), options.n_survivors));
    for (Offspring& child : offspring) {
      EDGELLM_ASSIGN_OR_RETURN(child.measured, measure(child.choice, 1));
      if (child.measured >= state.measured) continue;
      state.measured = child.measured;
      state.choice = std::move(child.choice);
      state.log_factors = std::move(child.log_factors);
    }
    ++state.generation;
    state.n_idle = state.measured < before * (1 - options.least_gain) ? 0 : state.n_idle + 1;
    if (on_generation) EDGELLM_RETURN_IF_ERROR(on_generation(state));
  }
  return {};
}

}  // namespace edgellm
