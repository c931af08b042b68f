// Choosing one option for every item under a budget of bytes at the least total cost: the start of every
// plan.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct AllocationOption {
  uint64_t n_bytes = 0;
  double cost = 0;  // harm, in any unit that adds up over items
};

struct AllocationItem {
  std::vector<AllocationOption> options;  // at least one
};

// One index into options per item.
using Allocation = std::vector<size_t>;

uint64_t allocation_bytes(std::span<const AllocationItem> items, const Allocation& choice);
double allocation_cost(std::span<const AllocationItem> items, const Allocation& choice);
// The fewest bytes any choice takes.
uint64_t smallest_allocation_bytes(std::span<const AllocationItem> items);

// The choice of least cost that takes at most `budget` bytes: dynamic programming over the bytes above the
// smallest choice, in n_steps equal steps (rounded up, so that the budget is never exceeded; what the
// rounding leaves over is then spent greedily). Exact when the option sizes are multiples of a step. Error
// says the smallest possible size when none fits.
Result<Allocation> allocate(std::span<const AllocationItem> items, uint64_t budget, size_t n_steps = 20000);

}  // namespace edgellm
