// Choosing one option for every item under a budget of bytes, and of time where that is asked for, at the
// least total cost: the start of every plan.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct AllocationOption {
  uint64_t n_bytes = 0;
  double cost = 0;     // harm, in any unit that adds up over items
  double seconds = 0;  // of a token, where time counts
};

struct AllocationItem {
  std::vector<AllocationOption> options;  // at least one
};

// One index into options per item.
using Allocation = std::vector<size_t>;

struct AllocationBudget {
  AllocationBudget(uint64_t bytes = 0, double most_seconds = std::numeric_limits<double>::infinity())
      : n_bytes(bytes), seconds(most_seconds) {}
  uint64_t n_bytes;
  double seconds;
};

uint64_t allocation_bytes(std::span<const AllocationItem> items, const Allocation& choice);
double allocation_cost(std::span<const AllocationItem> items, const Allocation& choice);
double allocation_seconds(std::span<const AllocationItem> items, const Allocation& choice);
// The fewest bytes any choice takes.
uint64_t smallest_allocation_bytes(std::span<const AllocationItem> items);

// The choice of least cost within `budget`: dynamic programming over the bytes above the smallest choice, in
// n_steps equal steps (rounded up, so that the budget is never exceeded; what the rounding leaves over is
// then spent greedily). Exact when the option sizes are multiples of a step. Where the seconds bind, they are
// put into the cost with the least weight that brings the choice within them (Everett, "Generalized Lagrange
// multiplier method", 1963): the best of all choices but for a gap of about one item. Error says the smallest
// possible size, or the least seconds, when none fits.
Result<Allocation> allocate(std::span<const AllocationItem> items, const AllocationBudget& budget,
                            size_t n_steps = 20000);

// The fastest choice found that takes at most n_bytes and costs at most most_harm (1 or more) times the least
// cost there is within these bytes.
Result<Allocation> allocate_fastest(std::span<const AllocationItem> items, uint64_t n_bytes, double most_harm,
                                    size_t n_steps = 20000);

// Whether any choice is within the budget.
bool can_allocate(std::span<const AllocationItem> items, const AllocationBudget& budget,
                  size_t n_steps = 20000);

}  // namespace edgellm
