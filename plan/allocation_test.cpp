#include "plan/allocation.h"

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

}  // namespace
}  // namespace edgellm
