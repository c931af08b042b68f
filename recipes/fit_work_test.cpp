#include "recipes/fit_work.h"

#include <gtest/gtest.h>
#include <thread>
#include <unistd.h>

#include "recipes/generation_check.h"
#include "recipes/json_file.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

class FitWorkTest : public testing::Test {
 protected:
  FitWorkTest() : folder_(fs::temp_directory_path() / ("edgellm_fit_work_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~FitWorkTest() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(FitWorkTest, OneProcessAtATimeWorksForAModel) {
  auto first = FitWork::open(folder_, "0123456789abcdef0123");
  ASSERT_TRUE(first.ok());
  auto second = FitWork::open(folder_, "0123456789abcdef0123");
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("another process"), std::string::npos) << second.error().message;
  EXPECT_TRUE(FitWork::open(folder_, "fedcba9876543210").ok());
}

void spend_some_time() {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

TEST_F(FitWorkTest, TheClockGoesOnFromWhatAStoppedRunHadSpent) {
  fs::path path = folder_ / "stages.json";
  {
    StageClock stopped;
    stopped.begin("opening");
    stopped.keep_in(path);
    stopped.begin("search");
    spend_some_time();
    stopped.begin("writing");
  }
  auto kept = read_json<std::vector<std::pair<std::string, double>>>(path);
  ASSERT_TRUE(kept);
  StageClock resumed;
  resumed.begin("opening");
  resumed.keep_in(path);
  resumed.begin("search");
  spend_some_time();
  const double seconds = resumed.end();
  EXPECT_EQ(seconds, resumed.stages()[1].second);
  EXPECT_EQ(resumed.total(), resumed.stages()[0].second + resumed.stages()[1].second);
  EXPECT_EQ(resumed.end(), 0) << "no stage is in work";
  ASSERT_EQ(resumed.stages().size(), 2u);
  EXPECT_EQ(resumed.stages()[1].first, "search");
  EXPECT_GT(resumed.stages()[1].second, kept->at(1).second);
}

TEST_F(FitWorkTest, DamagedJsonIsAsIfItWereMissing) {
  fs::path path = folder_ / "x.json";
  EXPECT_FALSE(read_json<std::vector<double>>(path));
  for (const char* text : {"", "[1, 2", "{\"a\": 1}", "[\"text\"]"}) {
    ASSERT_TRUE(write_text_file(path, text).ok());
    EXPECT_FALSE(read_json<std::vector<double>>(path)) << text;
  }
  ASSERT_TRUE(write_text_file(path, "[1, 2]").ok());
  EXPECT_EQ(read_json<std::vector<double>>(path), (std::vector<double>{1, 2}));
}

TEST(RepeatsItself, SeesShortLoopsLongLoopsAndNearlyTheSameSentences) {
  auto tokens = [](size_t n, auto token_at) {
    std::vector<Token> out(n);
    for (size_t i = 0; i < n; ++i) out[i] = Token(token_at(i));
    return out;
  };
  EXPECT_TRUE(repeats_itself(tokens(24, [](size_t) { return 7; })));
  EXPECT_TRUE(repeats_itself(tokens(30, [](size_t i) { return i % 5; })));
  EXPECT_TRUE(repeats_itself(tokens(96, [](size_t i) { return i % 20; })));
  EXPECT_TRUE(repeats_itself(tokens(96, [](size_t i) { return i % 12 == 11 ? 100 + i : i % 12; })));
  EXPECT_FALSE(repeats_itself(tokens(96, [](size_t i) { return i; })));
  EXPECT_FALSE(repeats_itself(tokens(96, [](size_t i) { return i % 60; })));
  EXPECT_FALSE(repeats_itself(tokens(12, [](size_t) { return 7; })));
}

}  // namespace
}  // namespace edgellm
