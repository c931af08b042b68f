#include "plan/allocation.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace edgellm {
namespace {

std::vector<AllocationItem> random_items(std::mt19937& random, size_t n_items, size_t n_options,
                                         uint64_t unit) {
  std::vector<AllocationItem> items(n_items);
  for (auto& item : items) {
    uint64_t bytes = unit * (1 + random() % 20);
    double cost = 1 + double(random() % 1000);
    for (size_t o = 0; o < n_options; ++o) {
      item.options.push_back({bytes, cost});
      bytes += unit * (random() % 12);
      cost *= 0.2 + 0.001 * double(random() % 700);
    }
  }
  return items;
}

double brute_force(const std::vector<AllocationItem>& items, uint64_t budget) {
  Allocation choice(items.size(), 0);
  double best = 1e300;
  for (;;) {
    if (allocation_bytes(items, choice) <= budget) best = std::min(best, allocation_cost(items, choice));
    size_t i = 0;
    while (i < items.size() && ++choice[i] == items[i].options.size()) choice[i++] = 0;
    if (i == items.size()) return best;
  }
}

TEST(Allocate, IsTheBestOfAllChoices) {
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    auto items = random_items(random, 6, 4, 1000);
    uint64_t smallest = smallest_allocation_bytes(items);
    uint64_t budget = smallest + random() % 100 * 1000;
    auto choice = allocate(items, budget, 1000000);
    ASSERT_TRUE(choice.ok());
    EXPECT_LE(allocation_bytes(items, *choice), budget);
    EXPECT_NEAR(allocation_cost(items, *choice), brute_force(items, budget), 1e-9);
  }
}

TEST(Allocate, CoarseStepsNeverExceedTheBudgetAndStayClose) {
  std::mt19937 random(2);
  for (int round = 0; round < 6; ++round) {
    auto items = random_items(random, 120, 5, 997);
    uint64_t budget = smallest_allocation_bytes(items) * 3 / 2;
    auto coarse = allocate(items, budget, 5000), fine = allocate(items, budget, 60000);
    ASSERT_TRUE(coarse.ok() && fine.ok());
    EXPECT_LE(allocation_bytes(items, *coarse), budget);
    EXPECT_LE(allocation_cost(items, *coarse), 1.02 * allocation_cost(items, *fine) + 1e-9);
  }
}

TEST(Allocate, BudgetBelowTheSmallestNamesTheSmallest) {
  std::vector<AllocationItem> items = {{{{100, 1.0}, {200, 0.5}}}, {{{50, 1.0}}}};
  auto choice = allocate(items, 149);
  ASSERT_FALSE(choice.ok());
  EXPECT_NE(choice.error().message.find("150 bytes"), std::string::npos);
  EXPECT_TRUE(allocate(items, 150).ok());
}

TEST(Allocate, AmpleBudgetTakesTheCheapestHarmNotTheMostBytes) {
  std::vector<AllocationItem> items = {{{{100, 1.0}, {200, 0.5}, {900, 0.6}}}};
  EXPECT_EQ(*allocate(items, 10000), Allocation{1});
}

// As random_items, with a time for every option that goes with neither bytes nor cost.
std::vector<AllocationItem> timed_items(std::mt19937& random, size_t n_items, size_t n_options) {
  auto items = random_items(random, n_items, n_options, 1000);
  for (auto& item : items)
    for (auto& option : item.options) option.seconds = 0.001 * double(1 + random() % 100);
  return items;
}

double most_seconds(const std::vector<AllocationItem>& items) {
  double sum = 0;
  for (const auto& item : items) {
    double most = 0;
    for (const auto& option : item.options) most = std::max(most, option.seconds);
    sum += most;
  }
  return sum;
}

TEST(AllocateInTime, KeepsBothBudgetsAndCostsLittleMoreThanTheBest) {
  std::mt19937 random(4);
  for (int round = 0; round < 40; ++round) {
    auto items = timed_items(random, 7, 4);
    // As many steps as there are thousands to spend: then nothing is lost by rounding.
    size_t n_steps = 1 + random() % 60;
    uint64_t n_bytes = smallest_allocation_bytes(items) + n_steps * 1000;
    double seconds = (0.3 + 0.05 * double(random() % 10)) * most_seconds(items);
    auto choice = allocate(items, {n_bytes, seconds}, n_steps);
    if (!choice.ok()) {
      EXPECT_FALSE(can_allocate(items, {n_bytes, seconds}, n_steps));
      continue;
    }
    EXPECT_LE(allocation_bytes(items, *choice), n_bytes);
    EXPECT_LE(allocation_seconds(items, *choice), seconds);
    // Every choice of both budgets.
    double best = 1e300, largest_item = 0;
    Allocation every(items.size(), 0);
    for (size_t i = 0; i < items.size();) {
      if (allocation_bytes(items, every) <= n_bytes && allocation_seconds(items, every) <= seconds)
        best = std::min(best, allocation_cost(items, every));
      for (i = 0; i < items.size() && ++every[i] == items[i].options.size(); ++i) every[i] = 0;
    }
    for (const auto& item : items) largest_item = std::max(largest_item, item.options[0].cost);
    EXPECT_GE(allocation_cost(items, *choice), best - 1e-9);
    EXPECT_LE(allocation_cost(items, *choice), best + largest_item);
  }
}

TEST(AllocateInTime, TimeThatDoesNotBindChangesNothing) {
  std::mt19937 random(5);
  auto items = timed_items(random, 60, 5);
  uint64_t n_bytes = smallest_allocation_bytes(items) * 3 / 2;
  EXPECT_EQ(*allocate(items, {n_bytes, 2 * most_seconds(items)}), *allocate(items, n_bytes));
}

TEST(AllocateInTime, TooLittleTimeNamesTheLeast) {
  std::vector<AllocationItem> items = {{{{100, 1.0, 0.5}, {200, 0.5, 0.25}}}};
  auto choice = allocate(items, {1000, 0.2});
  ASSERT_FALSE(choice.ok());
  EXPECT_NE(choice.error().message.find("0.25"), std::string::npos) << choice.error().message;
  EXPECT_FALSE(can_allocate(items, {1000, 0.2}));
  EXPECT_TRUE(can_allocate(items, {1000, 0.25}));
  EXPECT_FALSE(can_allocate(items, {150, 0.25})) << "the fast option has too many bytes";
}

TEST(AllocateFastest, AvoidsASlowOptionWhereThatDoesLittleHarm) {
  // The second option is slow and hardly better; the fourth item needs it.
  std::vector<AllocationItem> items(4);
  for (auto& item : items) item.options = {{100, 1.0, 0.01}, {110, 0.99, 0.1}, {200, 0.5, 0.02}};
  items[3].options[1].cost = 0.1;
  auto accurate = allocate(items, 430), fast = allocate_fastest(items, 430, 1.05);
  ASSERT_TRUE(accurate.ok() && fast.ok());
  EXPECT_GT(std::count(accurate->begin(), accurate->end(), size_t{1}), 1);
  EXPECT_EQ(*fast, (Allocation{0, 0, 0, 1}));
  EXPECT_LE(allocation_cost(items, *fast), 1.05 * allocation_cost(items, *accurate));
}

TEST(AllocateFastest, NeverExceedsBytesOrHarmAndIsNeverSlower) {
  std::mt19937 random(6);
  for (int round = 0; round < 10; ++round) {
    auto items = timed_items(random, 40, 5);
    uint64_t n_bytes = smallest_allocation_bytes(items) * 3 / 2;
    Allocation accurate = *allocate(items, n_bytes, 1000);
    double before = allocation_seconds(items, accurate);
    for (double harm : {1.0, 1.1, 1.5, 10.0}) {
      Allocation fast = *allocate_fastest(items, n_bytes, harm, 1000);
      EXPECT_LE(allocation_bytes(items, fast), n_bytes);
      EXPECT_LE(allocation_cost(items, fast), harm * allocation_cost(items, accurate) * (1 + 1e-12));
      EXPECT_LE(allocation_seconds(items, fast), before) << "harm " << harm;
      before = allocation_seconds(items, fast);
    }
  }
}

}  // namespace
}  // namespace edgellm
