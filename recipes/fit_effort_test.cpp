#include "recipes/fit_effort.h"

#include <cmath>
#include <gtest/gtest.h>

namespace edgellm {
namespace {

TEST(FitEffort, EachKnownOneDoesMoreThanTheOneBefore) {
  const FitEffort fast = fit_effort("fast").value(), balanced = fit_effort("balanced").value(),
                  best = fit_effort("best").value();
  EXPECT_EQ(fast, FitEffort());
  EXPECT_EQ(fast.n_compensation_windows, 0u) << "needs LibTorch";
  EXPECT_GT(balanced.n_compensation_windows, 0u);
  EXPECT_EQ(balanced.n_layer_epochs + balanced.n_training_epochs, 0u);
  EXPECT_GT(best.n_training_epochs, 0u);
  EXPECT_GT(best.n_generations, balanced.n_generations);
  auto unknown = fit_effort("worst");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("worst: fast, balanced or best"), std::string::npos);
}

TEST(FitEffort, AllDivideTheTextAlike) {
  const FitEffort fast = fit_effort("fast").value();
  for (const char* name : {"balanced", "best"}) {
    const FitEffort other = fit_effort(name).value();
    EXPECT_EQ(other.n_window_tokens, fast.n_window_tokens);
    EXPECT_EQ(other.n_importance_windows, fast.n_importance_windows);
    EXPECT_EQ(other.n_search_windows, fast.n_search_windows);
    EXPECT_EQ(other.n_verify_windows, fast.n_verify_windows);
    EXPECT_EQ(other.n_error_rows, fast.n_error_rows);
  }
}

TEST(FitEffort, OnlyAFastFitOfALargeModelDoesLess) {
  for (const char* name : {"fast", "balanced", "best"}) {
    const FitEffort effort = fit_effort(name).value();
    EXPECT_EQ(effort_for_size(effort, kLargeModelBytes), effort);
    const FitEffort large = effort_for_size(effort, kLargeModelBytes + 1);
    EXPECT_EQ(large == effort, effort.n_compensation_windows > 0);
  }
  const FitEffort large = effort_for_size({}, kLargeModelBytes + 1);
  EXPECT_LT(large.n_window_tokens, FitEffort().n_window_tokens);
  EXPECT_TRUE(std::isinf(large.least_harm_to_leave_out));
  EXPECT_EQ(fit_effort("best").value().least_harm_to_leave_out, 0);
}

}  // namespace
}  // namespace edgellm
