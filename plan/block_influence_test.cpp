#include "plan/block_influence.h"

#include <gtest/gtest.h>
#include <vector>

namespace edgellm {
namespace {

TEST(LayersOfFraction, IsTheNearestNumberOfLayers) {
  EXPECT_EQ(*layers_of_fraction(0.25, 32), 8u);
  EXPECT_EQ(*layers_of_fraction(0.30, 32), 10u);
  EXPECT_EQ(*layers_of_fraction(0.25, 30), 8u);
  EXPECT_EQ(*layers_of_fraction(0.25, 22), 6u);
}

TEST(LayersOfFraction, LeavesOneLayerAndTakesOne) {
  EXPECT_EQ(*layers_of_fraction(0.01, 12), 1u);
  EXPECT_EQ(*layers_of_fraction(0.99, 12), 11u);
}

TEST(LayersOfFraction, RefusesWhatIsNoFraction) {
  for (double fraction : {0.0, 1.0, -0.5, 25.0}) EXPECT_FALSE(layers_of_fraction(fraction, 12).ok());
  EXPECT_FALSE(layers_of_fraction(0.5, 1).ok());
}

TEST(LayersOfLeastInfluence, AreThoseWithTheLowestScores) {
  std::vector<double> influence = {0.6, 0.2, 0.15, 0.1, 0.12, 0.4};
  EXPECT_EQ(layers_of_least_influence(influence, 1), (std::set<uint32_t>{3}));
  EXPECT_EQ(layers_of_least_influence(influence, 3), (std::set<uint32_t>{2, 3, 4}));
}

TEST(LayersOfLeastInfluence, TakesTheLaterOfEqualOnes) {
  std::vector<double> influence = {0.5, 0.1, 0.1, 0.1, 0.5};
  EXPECT_EQ(layers_of_least_influence(influence, 2), (std::set<uint32_t>{2, 3}));
}

}  // namespace
}  // namespace edgellm
