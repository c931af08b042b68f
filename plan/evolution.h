// Refining an allocation by measuring: evolution of the predicted costs.
//
// A choice is made by allocate() from predicted costs, and the costs are wrong by unknown factors. So what
// evolves is a factor for every item: an offspring multiplies its parent's factors by random ones, for whole
// groups (a tensor role, a part of the layers) and for single items, allocates anew under the same budget,
// and is measured. Every offspring spends the whole budget, and the step from one plan to the next is
// coherent. As in EvoPress (arXiv 2410.14649), offspring are measured on little text first and only the best
// of them on more; here only those that are better than their parent there, and a generation ends when half
// of its offspring were not, for measuring a choice may mean encoding most of a model.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "plan/allocation.h"

namespace edgellm {

struct EvolutionState {
  size_t generation = 0;            // finished ones
  std::vector<double> log_factors;  // [n_items]
  Allocation choice;
  double measured = 0;  // of `choice`, at the last fidelity
  size_t n_idle = 0;    // generations since one that gained enough
};

struct EvolutionOptions {
  size_t n_generations = 12;
  size_t n_offspring = 8;  // of a generation; half of them where none of these is better than the parent
  size_t n_survivors = 2;  // of the first fidelity, measured at the second
  double spread = 0.3;     // standard deviation of the logarithm of a factor, in the first generation
  // Ends early after this many generations in a row that each gained less than this share.
  size_t patience = 2;
  double least_gain = 0.003;
  uint64_t seed = 1;
  size_t n_steps = 4000;  // of allocate()
};

// Measures a choice at fidelity 0 (little text) or 1 (all of it); lower is better.
using MeasureAllocation = std::function<Result<double>(const Allocation& choice, int fidelity)>;
// Called after every generation, for progress and checkpoints; an Error ends the evolution with it.
using OnGeneration = std::function<Status(const EvolutionState& state)>;

// groups: [n_items][...] numbers of the groups an item belongs to. state: where to start; its choice must fit
// the budget and be measured at fidelity 1. The same state and options give the same result.
Status evolve(std::span<const AllocationItem> items, std::span<const std::vector<uint32_t>> groups,
              const AllocationBudget& budget, const EvolutionOptions& options,
              const MeasureAllocation& measure, const OnGeneration& on_generation, EvolutionState& state);

}  // namespace edgellm
