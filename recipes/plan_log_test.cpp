#include "recipes/plan_log.h"

#include <gtest/gtest.h>

#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"

namespace edgellm {
namespace {

TEST(PlanLog, KeepsWhatWasMeasured) {
  auto folder = TemporaryFolder::create("plans").value();
  const auto path = folder / "measured.jsonl";
  ASSERT_TRUE(PlanLog(path).add("a", {"predicted", 100, 0.5}).ok());
  ASSERT_TRUE(PlanLog(path).add("b", {"Q2_K", 90, 0.75}).ok());
  const PlanLog log(path);
  EXPECT_EQ(log.find("a"), 0.5);
  EXPECT_FALSE(log.find("c"));
  EXPECT_EQ(log.plans(), (std::vector<LoggedPlan>{{"predicted", 100, 0.5}, {"Q2_K", 90, 0.75}}));
  PlanLog nowhere("");
  ASSERT_TRUE(nowhere.add("a", {"predicted", 100, 0.5}).ok());
  EXPECT_TRUE(nowhere.has_plan("a"));
}

TEST(PlanLog, ALineThatOnlySaysTheKlIsKnownButNoPlan) {
  auto folder = TemporaryFolder::create("plans").value();
  const auto path = folder / "measured.jsonl";
  ASSERT_TRUE(
      write_text_file(path, "{\"key\": \"a\", \"kl\": 0.5}\n[1]\n{\"key\": \"b\"}\n{\"key\": \"c\", \"kl\"")
          .ok());
  PlanLog log(path);
  EXPECT_EQ(log.find("a"), 0.5);
  EXPECT_FALSE(log.has_plan("a"));
  EXPECT_FALSE(log.find("b") || log.find("c"));
  EXPECT_TRUE(log.plans().empty());
  ASSERT_TRUE(log.add("a", {"predicted", 100, 0.5}).ok());
  EXPECT_TRUE(PlanLog(path).has_plan("a"));
}

TEST(PlanLog, OfAllPlansThoseThatNoneBeatsAreTheFront) {
  const std::vector<LoggedPlan> plans = {
      {"large", 300, 0.1}, {"worse", 200, 0.4}, {"small", 100, 0.3}, {"middle", 200, 0.2}};
  EXPECT_EQ(pareto_plans(plans), (std::vector<LoggedPlan>{plans[2], plans[3], plans[0]}));
}

}  // namespace
}  // namespace edgellm
