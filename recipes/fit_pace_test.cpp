#include "recipes/fit_pace.h"

#include <gtest/gtest.h>

namespace edgellm {
namespace {

constexpr FitPace kPace = {.seconds_per_window = 2};

TEST(FitPace, MoreTimeIsNeverGivenFewerStepsAndWhatIsGivenFits) {
  double before = 0;
  for (double seconds = 0; seconds < 20000; seconds += 50) {
    const FitSteps steps = steps_within(seconds, kPace, 1000);
    const double cost =
        kPace.compensation(steps.n_compensation_windows, steps.n_training_epochs > 0) + kPace.training(steps);
    EXPECT_LE(cost, seconds);
    EXPECT_GE(cost, before);
    before = cost;
  }
}

TEST(FitPace, NoTimeGivesNothingAndEnoughGivesAll) {
  EXPECT_EQ(steps_within(-100, kPace, 1000), FitSteps());
  EXPECT_EQ(steps_within(0, kPace, 1000), FitSteps());
  EXPECT_EQ(steps_within(1e9, kPace, 1000), (FitSteps{192, 4}));
  EXPECT_EQ(kPace.training({192, 0}), 0);
  EXPECT_GT(kPace.compensation(192, true), kPace.compensation(192, false));
  EXPECT_EQ(kPace.compensation(0, true), 0);
}

TEST(FitPace, TextThatIsShortCostsLess) {
  const double seconds = kPace.compensation(20, false);
  EXPECT_EQ(steps_within(seconds, kPace, 1000), FitSteps());
  EXPECT_EQ(steps_within(seconds, kPace, 20), (FitSteps{20, 0}));
  EXPECT_EQ(steps_within(1e9, kPace, 20), (FitSteps{20, 4}));
}

TEST(FitPace, EpochsAreTakenAwayUntilTheRestFits) {
  const FitSteps steps = {128, 3};
  for (size_t n = 0; n <= 3; ++n) EXPECT_EQ(epochs_within(kPace.training({128, n}), kPace, steps), n);
  EXPECT_EQ(epochs_within(1e9, kPace, steps), 3u) << "never more than was planned";
  EXPECT_EQ(epochs_within(-1, kPace, steps), 0u);
}

TEST(FitPace, AMachineThatIsSlowerThanExpectedDoesLess) {
  FitPace slow = kPace;
  slow.torch_factor = 2;
  EXPECT_EQ(slow.compensation(64, false), 2 * kPace.compensation(64, false));
  EXPECT_EQ(epochs_within(kPace.training({128, 2}), slow, {128, 2}), 0u);
  EXPECT_EQ(slow.fast(), kPace.fast()) << "the search is not LibTorch's";
}

}  // namespace
}  // namespace edgellm
