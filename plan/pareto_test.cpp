#include "plan/pareto.h"

#include <gtest/gtest.h>
#include <random>
#include <set>

namespace edgellm {
namespace {

// The definition itself, with the first of equal points.
std::set<size_t> by_definition(const std::vector<TradeOff>& points) {
  std::set<size_t> front;
  for (size_t i = 0; i < points.size(); ++i) {
    bool beaten = false;
    for (size_t j = 0; j < points.size(); ++j) {
      const TradeOff &a = points[i], &b = points[j];
      bool no_worse = b.cost <= a.cost && b.loss <= a.loss;
      bool equal = b.cost == a.cost && b.loss == a.loss;
      beaten = beaten || (no_worse && (!equal || j < i));
    }
    if (!beaten) front.insert(i);
  }
  return front;
}

TEST(ParetoFront, is_what_the_definition_says) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<TradeOff> points(random() % 12);
    // Few values, so that many are equal.
    for (TradeOff& p : points) p = {double(random() % 6), double(random() % 6)};
    auto front = pareto_front(points);
    EXPECT_EQ(std::set<size_t>(front.begin(), front.end()), by_definition(points));
    for (size_t i = 1; i < front.size(); ++i) EXPECT_LT(points[front[i - 1]].cost, points[front[i]].cost);
  }
}

}  // namespace
}  // namespace edgellm
