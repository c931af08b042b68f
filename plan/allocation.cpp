#include "plan/allocation.h"

#include <algorithm>
#include <cmath>
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
void spend_the_rest(std::span<const AllocationItem> items, const AllocationBudget& budget,
                    Allocation& choice) {
  uint64_t used = allocation_bytes(items, choice);
  double seconds = allocation_seconds(items, choice);
  for (;;) {
    double best_gain = 0;
    size_t best_item = 0, best_option = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      const auto& now = items[i].options[choice[i]];
      for (size_t o = 0; o < items[i].options.size(); ++o) {
        const auto& option = items[i].options[o];
        if (option.cost >= now.cost || used - now.n_bytes + option.n_bytes > budget.n_bytes) continue;
        if (seconds - now.seconds + option.seconds > budget.seconds) continue;
        if (now.cost - option.cost > best_gain) {
          best_gain = now.cost - option.cost;
          best_item = i;
          best_option = o;
        }
      }
    }
    if (best_gain <= 0) return;
    const auto &before = items[best_item].options[choice[best_item]],
               &after = items[best_item].options[best_option];
    used = used - before.n_bytes + after.n_bytes;
    seconds = seconds - before.seconds + after.seconds;
    choice[best_item] = best_option;
  }
}

// The choice of the least sum of value(option) that takes at most n_bytes.
template <class Value>
Result<Allocation> solve(std::span<const AllocationItem> items, uint64_t n_bytes, size_t n_steps,
                         const Value& value) {
  uint64_t smallest = smallest_allocation_bytes(items), largest = 0;
  if (smallest > n_bytes)
    return Error{
        fmt::format("no choice fits {} bytes: the smallest possible takes {} bytes", n_bytes, smallest)};
  for (const auto& item : items) {
    uint64_t n = 0;
    for (const auto& option : item.options) n = std::max(n, option.n_bytes);
    largest += n;
  }
  uint64_t spare = std::min(n_bytes, largest) - smallest;
  uint64_t step = std::max<uint64_t>(1, (spare + n_steps - 1) / n_steps);
  size_t n_cells = size_t(spare / step) + 1;

  constexpr double kNever = std::numeric_limits<double>::infinity();
  std::vector<double> least(n_cells, kNever), next(n_cells);
  least[0] = 0;
  std::vector<std::vector<uint16_t>> taken(items.size(), std::vector<uint16_t>(n_cells, 0));
  for (size_t i = 0; i < items.size(); ++i) {
    uint64_t base = items[i].options[smallest_option(items[i])].n_bytes;
    std::fill(next.begin(), next.end(), kNever);
    for (size_t o = 0; o < items[i].options.size(); ++o) {
      uint64_t extra = (items[i].options[o].n_bytes - base + step - 1) / step;
      double option_value = value(items[i].options[o]);
      for (size_t c = size_t(std::min<uint64_t>(extra, n_cells)); c < n_cells; ++c) {
        double total = least[c - extra] + option_value;
        bool better = total < next[c];
        next[c] = better ? total : next[c];
        taken[i][c] = better ? uint16_t(o) : taken[i][c];
      }
    }
    std::swap(least, next);
  }
  size_t cell = size_t(std::min_element(least.begin(), least.end()) - least.begin());
  Allocation choice(items.size());
  for (size_t i = items.size(); i-- > 0;) {
    choice[i] = taken[i][cell];
    uint64_t base = items[i].options[smallest_option(items[i])].n_bytes;
    cell -= size_t((items[i].options[choice[i]].n_bytes - base + step - 1) / step);
  }
  return choice;
}

// Steps of the search for the weight of a second, first by powers of kLeap, then by halves of the logarithm.
constexpr int kMostLeaps = 12, kHalvings = 12;
constexpr double kLeap = 8;

// Choices by the weight of a second in the cost; a larger weight never takes longer nor costs less.
class WeighedChoices {
 public:
  WeighedChoices(std::span<const AllocationItem> items, uint64_t n_bytes, size_t n_steps)
      : items_(items), n_bytes_(n_bytes), n_steps_(n_steps) {}

  Result<Allocation> at(double weight) const {
    return solve(items_, n_bytes_, n_steps_,
                 [weight](const AllocationOption& o) { return o.cost + weight * o.seconds; });
  }
  Result<Allocation> fastest() const {
    return solve(items_, n_bytes_, n_steps_, [](const AllocationOption& o) { return o.seconds; });
  }
  // A weight at which cost and seconds are of one size.
  double even_weight(const Allocation& choice) const {
    double seconds = allocation_seconds(items_, choice), cost = allocation_cost(items_, choice);
    return seconds > 0 && cost > 0 ? cost / seconds : 1;
  }

 private:
  std::span<const AllocationItem> items_;
  uint64_t n_bytes_;
  size_t n_steps_;
};

// Shows is_light() choices of growing weight until it says no, then ever closer ones around that border.
template <class IsLight>
Status approach_border(const WeighedChoices& choices, double start, const IsLight& is_light) {
  double low = 0, high = start;
  for (int leap = 0;; ++leap) {
    EDGELLM_ASSIGN_OR_RETURN(Allocation choice, choices.at(high));
    if (!is_light(choice)) break;
    if (leap == kMostLeaps) return {};
    low = high;
    high *= kLeap;
  }
  for (int i = 0; i < kHalvings; ++i) {
    double middle = low > 0 ? std::sqrt(low * high) : high / kLeap;
    EDGELLM_ASSIGN_OR_RETURN(Allocation choice, choices.at(middle));
    (is_light(choice) ? low : high) = middle;
  }
  return {};
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

double allocation_seconds(std::span<const AllocationItem> items, const Allocation& choice) {
  double sum = 0;
  for (size_t i = 0; i < items.size(); ++i) sum += items[i].options[choice[i]].seconds;
  return sum;
}

uint64_t smallest_allocation_bytes(std::span<const AllocationItem> items) {
  uint64_t sum = 0;
  for (const auto& item : items) sum += item.options[smallest_option(item)].n_bytes;
  return sum;
}

Result<Allocation> allocate(std::span<const AllocationItem> items, const AllocationBudget& budget,
                            size_t n_steps) {
  WeighedChoices choices(items, budget.n_bytes, n_steps);
  EDGELLM_ASSIGN_OR_RETURN(Allocation choice, solve(items, budget.n_bytes, n_steps,
                                                    [](const AllocationOption& o) { return o.cost; }));
  if (allocation_seconds(items, choice) > budget.seconds) {
    double even = choices.even_weight(choice);
    EDGELLM_ASSIGN_OR_RETURN(choice, choices.fastest());
    if (double least = allocation_seconds(items, choice); least > budget.seconds)
      return Error{fmt::format("no choice takes {:.4g} seconds a token: the fastest possible takes {:.4g}",
                               budget.seconds, least)};
    double cost = allocation_cost(items, choice);
    auto is_too_slow = [&](const Allocation& tried) {
      if (allocation_seconds(items, tried) > budget.seconds) return true;
      if (double of_it = allocation_cost(items, tried); of_it < cost) {
        cost = of_it;
        choice = tried;
      }
      return false;
    };
    EDGELLM_RETURN_IF_ERROR(approach_border(choices, even, is_too_slow));
  }
  spend_the_rest(items, budget, choice);
  return choice;
}

Result<Allocation> allocate_fastest(std::span<const AllocationItem> items, uint64_t n_bytes, double most_harm,
                                    size_t n_steps) {
  WeighedChoices choices(items, n_bytes, n_steps);
  EDGELLM_ASSIGN_OR_RETURN(Allocation choice, allocate(items, n_bytes, n_steps));
  double most_cost = most_harm * allocation_cost(items, choice), seconds = allocation_seconds(items, choice);
  auto is_harmless = [&](const Allocation& tried) {
    if (allocation_cost(items, tried) > most_cost) return false;
    if (double of_it = allocation_seconds(items, tried); of_it < seconds) {
      seconds = of_it;
      choice = tried;
    }
    return true;
  };
  EDGELLM_RETURN_IF_ERROR(approach_border(choices, choices.even_weight(choice), is_harmless));
  return choice;
}

bool can_allocate(std::span<const AllocationItem> items, const AllocationBudget& budget, size_t n_steps) {
  if (smallest_allocation_bytes(items) > budget.n_bytes) return false;
  if (budget.seconds == std::numeric_limits<double>::infinity()) return true;
  auto fastest = WeighedChoices(items, budget.n_bytes, n_steps).fastest();
  return fastest.ok() && allocation_seconds(items, *fastest) <= budget.seconds;
}

}  // namespace edgellm
