#include "recipes/calibration_windows.h"

#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <numeric>
#include <set>

namespace edgellm {
namespace {

CalibrationSource counting(std::string name, size_t n_tokens, Token first, double weight = 1) {
  CalibrationSource source = {std::move(name), std::vector<Token>(n_tokens), weight};
  std::iota(source.tokens.begin(), source.tokens.end(), first);
  return source;
}

std::string message_of(std::vector<CalibrationSource> sources, WindowOptions options) {
  auto windows = draw_windows(sources, options);
  return windows.ok() ? std::string() : windows.error().message;
}

TEST(CalibrationWindows, EachSourceGivesItsShare) {
  std::vector<CalibrationSource> sources = {counting("a", 1000, 0, 3), counting("b", 1000, 10000, 1),
                                            counting("c", 1000, 20000, 1)};
  auto windows = draw_windows(sources, {.n_windows = 12, .n_tokens = 8});
  ASSERT_TRUE(windows.ok()) << windows.error().message;
  std::map<Token, int> n_of;
  for (const auto& window : *windows) {
    ASSERT_EQ(window.size(), 8u);
    ++n_of[window[0] / 10000];
    for (size_t i = 1; i < window.size(); ++i) EXPECT_EQ(window[i], window[i - 1] + 1);
  }
  // 7.2, 2.4 and 2.4: the remainder goes to the first of the largest.
  EXPECT_EQ(n_of[0], 7);
  EXPECT_EQ(n_of[1], 3);
  EXPECT_EQ(n_of[2], 2);
}

TEST(CalibrationWindows, DoNotOverlapAndAreSpreadOverTheText) {
  for (size_t n_tokens : {40, 41, 57, 400}) {
    std::vector<CalibrationSource> sources = {counting("a", n_tokens, 0)};
    auto windows = draw_windows(sources, {.n_windows = 5, .n_tokens = 8});
    ASSERT_TRUE(windows.ok()) << windows.error().message;
    std::set<Token> seen;
    for (const auto& window : *windows) seen.insert(window.begin(), window.end());
    EXPECT_EQ(seen.size(), 40u);
    EXPECT_EQ(*seen.begin(), 0);
    // The last of five parts has one.
    EXPECT_GE(*seen.rbegin(), Token(n_tokens * 4 / 5));
  }
}

TEST(CalibrationWindows, BeginWithBosWhereTheModelHasOne) {
  std::vector<CalibrationSource> sources = {counting("a", 100, 5)};
  auto windows = draw_windows(sources, {.n_windows = 10, .n_tokens = 11, .bos = 1});
  ASSERT_TRUE(windows.ok()) << windows.error().message;
  for (const auto& window : *windows) {
    EXPECT_EQ(window.size(), 11u);
    EXPECT_EQ(window[0], 1);
    EXPECT_GE(window[1], 5);
  }
}

TEST(CalibrationWindows, AreTheSameEveryTimeAndMixed) {
  std::vector<CalibrationSource> sources = {counting("a", 1000, 0), counting("b", 1000, 10000)};
  WindowOptions options = {.n_windows = 16, .n_tokens = 4};
  auto first = draw_windows(sources, options), second = draw_windows(sources, options);
  EXPECT_EQ(*first, *second);
  EXPECT_FALSE(std::is_sorted(first->begin(), first->end()));
}

TEST(CalibrationWindows, TheSourceThatRunsOutFirstBoundsTheOthers) {
  const WindowOptions options = {.n_tokens = 10};
  EXPECT_EQ(most_windows(std::vector{counting("a", 1009, 0)}, options), 100u);
  // As many of each as the shorter one has.
  EXPECT_EQ(most_windows(std::vector{counting("a", 1000, 0), counting("b", 300, 5000)}, options), 60u);
  // One in four is the shorter one's; the longer one's ninety bound the sum nowhere.
  EXPECT_EQ(most_windows(std::vector{counting("a", 1000, 0, 3), counting("b", 300, 5000)}, options), 120u);
  // Shares that are no whole numbers: what can be drawn uses a source up, to a window.
  for (double weight : {0.3, 0.7, 1.1, 2.9, 17.0}) {
    const std::vector sources = {counting("a", 170, 0, weight), counting("b", 230, 5000),
                                 counting("c", 90, 9000, 0.5)};
    WindowOptions most = options;
    most.n_windows = most_windows(sources, options);
    auto windows = draw_windows(sources, most);
    ASSERT_TRUE(windows.ok()) << weight;
    size_t n_a = 0, n_b = 0, n_c = 0;
    for (const auto& window : *windows) ++(window[0] < 5000 ? n_a : window[0] < 9000 ? n_b : n_c);
    EXPECT_TRUE(n_a >= 16 || n_b >= 22 || n_c >= 8) << n_a << " " << n_b << " " << n_c;
  }
}

TEST(CalibrationWindows, TooLittleTextSaysHowMuchIsNeeded) {
  std::string message = message_of({counting("short.txt", 79, 0)}, {.n_windows = 10, .n_tokens = 8});
  for (const char* word : {"short.txt", "79", "80"})
    EXPECT_NE(message.find(word), std::string::npos) << message;
  message = message_of({counting("empty.txt", 0, 0)}, {.n_windows = 10, .n_tokens = 8});
  EXPECT_NE(message.find("'empty.txt' has 0 tokens"), std::string::npos) << message;
}

TEST(CalibrationWindows, WrongSharesAndSizesAreRefused) {
  EXPECT_NE(message_of({}, {}), "");
  EXPECT_NE(message_of({counting("a", 100, 0, 0)}, {.n_windows = 1, .n_tokens = 8}).find("weight"),
            std::string::npos);
  EXPECT_NE(message_of({counting("a", 100, 0, NAN)}, {.n_windows = 1, .n_tokens = 8}).find("weight"),
            std::string::npos);
  EXPECT_NE(message_of({counting("a", 100, 0)}, {.n_windows = 1, .n_tokens = 1, .bos = 3}), "");
  EXPECT_NE(message_of({counting("a", 100, 0)}, {.n_windows = 0, .n_tokens = 8}), "");
}

}  // namespace
}  // namespace edgellm
