// A plan is judged once: what an earlier run kept is found again, and a torn line is not.
#include "recipes/judged.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/temporary_folder.h"

namespace edgellm {
namespace {

class JudgeOnce : public testing::Test {
 protected:
  Result<Judged> judge(const std::string& key, double kl) {
    return judge_once(log_, key, [&]() -> Result<Judged> {
      ++n_judged_;
      if (kl < 0) return Error{"cannot be judged"};
      return Judged{kl, 0.1, 0.2, 0.3, 0.4};
    });
  }

  TemporaryFolder folder_ = TemporaryFolder::create("judged").value();
  std::filesystem::path log_ = folder_.path() / "judged.jsonl";
  int n_judged_ = 0;
};

TEST_F(JudgeOnce, KeepsWhatWasJudgedByItsKey) {
  EXPECT_EQ(judge("a", 1)->kl, 1);
  EXPECT_EQ(judge("b", 2)->kl, 2);
  EXPECT_EQ(n_judged_, 2);
  const Judged again = judge("a", 3).value();
  EXPECT_EQ(n_judged_, 2);
  EXPECT_EQ(to_json(again), to_json(Judged{1, 0.1, 0.2, 0.3, 0.4}));
}

TEST_F(JudgeOnce, JudgesAnewWhatWasCutOffAndGoesOnAfterIt) {
  ASSERT_TRUE(judge("a", 1).ok());
  std::filesystem::resize_file(log_, std::filesystem::file_size(log_) - 5);
  EXPECT_EQ(judge("a", 2)->kl, 2);
  EXPECT_EQ(judge("a", 3)->kl, 2);
  EXPECT_EQ(n_judged_, 2);
}

TEST_F(JudgeOnce, KeepsNoFailure) {
  EXPECT_FALSE(judge("a", -1).ok());
  EXPECT_EQ(judge("a", 1)->kl, 1);
  EXPECT_EQ(n_judged_, 2);
}

TEST_F(JudgeOnce, SaysWhereItCannotKeep) {
  log_ = folder_.path() / "missing" / "judged.jsonl";
  auto judged = judge("a", 1);
  ASSERT_FALSE(judged.ok());
  EXPECT_NE(judged.error().message.find("missing/judged.jsonl"), std::string::npos) << judged.error().message;
}

}  // namespace
}  // namespace edgellm
