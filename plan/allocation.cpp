#include "plan/allocation.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

namespace edgellm {
namespace {

size_t smallest_option(const AllocationItem& item) {
  size_t best = 0;
  for (size_t i = 1; i < item.options.size(); ++i) {
    const auto &a = item.options[i], &b = item.options[best];
    if (a.n_bytes < b.n_bytes || (a.n_bytes == b.n_bytes && a.cost < b.cost)) best = i;
  }
  return best;
}

// Single moves that lower the cost and still fit, the best first, until none is left.
void spend_the_rest(std::span<const AllocationItem> items, uint64_t budget, Allocation& choice) {
  uint64_t used = allocation_bytes(items, choice);
  for (;;) {
    double best_gain = 0;
    size_t best_item = 0, best_option = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      const auto& now = items[i].options[choice[i]];
      for (size_t o = 0; o < items[i].options.size(); ++o) {
        const auto& option = items[i].options[o];
        if (option.cost >= now.cost || used - now.n_bytes + option.n_bytes > budget) continue;
        if (now.cost - option.cost > best_gain) {
          best_gain = now.cost - option.cost;
          best_item = i;
          best_option = o;
        }
      }
    }
    if (best_gain <= 0) return;
    used = used - items[best_item].options[choice[best_item]].n_bytes +
           items[best_item].options[best_option].n_bytes;
    choice[best_item] = best_option;
  }
}

}  // namespace

uint64_t allocation_bytes(std::span<const AllocationItem> items, const Allocation& choice) {
  uint64_t sum = 0;
  for (size_t i = 0; i < items.size(); ++i) sum += items[i].options[choice[i]].n_bytes;
  return sum;
}

double allocation_cost(std::span<const AllocationItem> items, const Allocation& choice) {
  double sum = 0;
  for (size_t i = 0; i < items.size(); ++i) sum += items[i].options[choice[i]].cost;
  return sum;
}

uint64_t smallest_allocation_bytes(std::span<const AllocationItem> items) {
  uint64_t sum = 0;
  for (const auto& item : items) sum += item.options[smallest_option(item)].n_bytes;
  return sum;
}

Result<Allocation> allocate(std::span<const AllocationItem> items, uint64_t budget, size_t n_steps) {
  uint64_t smallest = smallest_allocation_bytes(items), largest = 0;
  if (smallest > budget)
    return Error{
        fmt::format("no choice fits {} bytes: the smallest possible takes {} bytes", budget, smallest)};
  for (const auto& item : items) {
    uint64_t n = 0;
    for (const auto& option : item.options) n = std::max(n, option.n_bytes);
    largest += n;
  }
  uint64_t spare = std::min(budget, largest) - smallest;
  uint64_t step = std::max<uint64_t>(1, (spare + n_steps - 1) / n_steps);
  size_t n_cells = size_t(spare / step) + 1;

  constexpr double kNever = std::numeric_limits<double>::infinity();
  std::vector<double> cost(n_cells, kNever), next(n_cells);
  cost[0] = 0;
  std::vector<std::vector<uint16_t>> taken(items.size(), std::vector<uint16_t>(n_cells, 0));
  for (size_t i = 0; i < items.size(); ++i) {
    uint64_t least = items[i].options[smallest_option(items[i])].n_bytes;
    std::fill(next.begin(), next.end(), kNever);
    for (size_t o = 0; o < items[i].options.size(); ++o) {
      uint64_t extra = (items[i].options[o].n_bytes - least + step - 1) / step;
      double option_cost = items[i].options[o].cost;
      for (size_t c = size_t(std::min<uint64_t>(extra, n_cells)); c < n_cells; ++c) {
        double total = cost[c - extra] + option_cost;
        bool better = total < next[c];
        next[c] = better ? total : next[c];
        taken[i][c] = better ? uint16_t(o) : taken[i][c];
      }
    }
    std::swap(cost, next);
  }
  size_t cell = size_t(std::min_element(cost.begin(), cost.end()) - cost.begin());
  Allocation choice(items.size());
  for (size_t i = items.size(); i-- > 0;) {
    choice[i] = taken[i][cell];
    uint64_t least = items[i].options[smallest_option(items[i])].n_bytes;
    cell -= size_t((items[i].options[choice[i]].n_bytes - least + step - 1) / step);
  }
  spend_the_rest(items, budget, choice);
  return choice;
}

}  // namespace edgellm
