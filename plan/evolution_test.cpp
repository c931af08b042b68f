#include "plan/evolution.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

namespace edgellm {
namespace {

// Items whose true costs differ from the predicted ones by a factor per group; measuring gives the true cost.
struct Problem {
  std::vector<AllocationItem> predicted, truth;
  std::vector<std::vector<uint32_t>> groups;
  uint64_t budget = 0;
};

Problem skewed_problem() {
  Problem p;
  std::mt19937 random(4);
  const double factor[] = {8.0, 1.0, 0.1};
  for (size_t i = 0; i < 60; ++i) {
    AllocationItem item;
    double cost = 1 + double(random() % 100) / 20;
    for (uint64_t bits = 2; bits <= 6; ++bits, cost *= 0.3)
      item.options.push_back({bits * (1000 + random() % 3000), cost});
    p.predicted.push_back(item);
    for (auto& option : item.options) option.cost *= factor[i % 3];
    p.truth.push_back(item);
    p.groups.push_back({uint32_t(i % 3)});
  }
  p.budget = smallest_allocation_bytes(p.predicted) * 3 / 2;
  return p;
}

EvolutionState run(const Problem& p, size_t n_generations, EvolutionState state,
                   size_t* n_measured = nullptr) {
  MeasureAllocation measure = [&](const Allocation& choice, int) -> Result<double> {
    if (n_measured) ++*n_measured;
    return allocation_cost(p.truth, choice);
  };
  EvolutionOptions options;
  options.n_generations = options.patience = n_generations;
  EXPECT_TRUE(evolve(p.predicted, p.groups, p.budget, options, measure, {}, state).ok());
  return state;
}

EvolutionState start_of(const Problem& p) {
  EvolutionState state;
  state.choice = *allocate(p.predicted, p.budget);
  state.measured = allocation_cost(p.truth, state.choice);
  return state;
}

TEST(Evolve, LearnsFactorsThatThePredictionGotWrong) {
  Problem p = skewed_problem();
  EvolutionState start = start_of(p), end = run(p, 40, start);
  double best = allocation_cost(p.truth, *allocate(p.truth, p.budget));
  EXPECT_LE(allocation_bytes(p.predicted, end.choice), p.budget);
  EXPECT_LT(end.measured - best, 0.4 * (start.measured - best));
}

TEST(Evolve, NeverEndsWorseThanItStarted) {
  Problem p = skewed_problem();
  p.predicted = p.truth;
  EvolutionState start = start_of(p), end = run(p, 5, start);
  EXPECT_LE(end.measured, start.measured);
}

TEST(Evolve, EndsEarlyWhenGenerationsGainNothingAndDoesNotGoOnWhenResumed) {
  Problem p = skewed_problem();
  size_t n_measured = 0;
  MeasureAllocation measure = [&](const Allocation&, int) -> Result<double> {
    ++n_measured;
    return 1.0;
  };
  EvolutionOptions options;
  options.n_generations = 10;
  options.patience = 2;
  EvolutionState state = start_of(p);
  state.measured = 1.0;
  ASSERT_TRUE(evolve(p.predicted, p.groups, p.budget, options, measure, {}, state).ok());
  EXPECT_EQ(state.generation, 2u);
  // The parent and half of its offspring.
  EXPECT_EQ(n_measured, 2 * (1 + options.n_offspring / 2));
  ASSERT_TRUE(evolve(p.predicted, p.groups, p.budget, options, measure, {}, state).ok());
  EXPECT_EQ(state.generation, 2u);
}

TEST(Evolve, MeasuresOnMoreTextOnlyWhatIsBetterThanItsParentOnLittle) {
  Problem p = skewed_problem();
  EvolutionState state = start_of(p);
  size_t n_little = 0, n_more = 0;
  // Every third choice is better on little text.
  MeasureAllocation measure = [&](const Allocation&, int fidelity) -> Result<double> {
    if (fidelity) return ++n_more, 1.0;
    return n_little++ % 3 ? 1.5 : 1.0 - 0.01 * double(n_little);
  };
  EvolutionOptions options;
  options.n_generations = 1;
  options.n_offspring = 8;
  options.n_survivors = 8;
  ASSERT_TRUE(evolve(p.predicted, p.groups, p.budget, options, measure, {}, state).ok());
  // The first was the parent; of the eight after it the third and the sixth are better.
  EXPECT_EQ(n_little, 9u);
  EXPECT_EQ(n_more, 2u);
}

TEST(Evolve, ResumedInTheMiddleEndsTheSame) {
  Problem p = skewed_problem();
  EvolutionState whole, half;
  MeasureAllocation measure = [&](const Allocation& choice, int) -> Result<double> {
    return allocation_cost(p.truth, choice);
  };
  EvolutionOptions options;
  options.n_generations = options.patience = 10;
  whole = half = start_of(p);
  ASSERT_TRUE(evolve(p.predicted, p.groups, p.budget, options, measure, {}, whole).ok());
  OnGeneration stop = [](const EvolutionState& s) {
    return s.generation == 4 ? Status(Error{"killed"}) : Status{};
  };
  ASSERT_FALSE(evolve(p.predicted, p.groups, p.budget, options, measure, stop, half).ok());
  ASSERT_TRUE(evolve(p.predicted, p.groups, p.budget, options, measure, {}, half).ok());
  EXPECT_EQ(whole.choice, half.choice);
}

}  // namespace
}  // namespace edgellm
