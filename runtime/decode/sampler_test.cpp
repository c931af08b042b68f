#include "runtime/decode/sampler.h"

#include <gtest/gtest.h>
#include <map>
#include <random>

namespace edgellm {
namespace {

std::map<Token, size_t> counts(const SamplerOptions& options, const std::vector<float>& logits,
                               size_t n = 4000) {
  Sampler sampler(options, logits.size());
  std::map<Token, size_t> seen;
  for (size_t i = 0; i < n; ++i) ++seen[sampler.sample(logits, {})];
  return seen;
}

const SamplerOptions kPlain = {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 5};
// Probabilities 0.5, 0.25, 0.125, 0.125.
const std::vector<float> kHalving = {0.0f, -0.6931472f, -1.3862944f, -1.3862944f};

TEST(Sampler, TemperatureZeroTakesTheMostLikelyAndTheFirstOfEquals) {
  std::mt19937 random(1);
  std::vector<float> logits(5000);
  for (float& x : logits) x = float(random() % 1000);
  logits[3333] = logits[4444] = 2000;
  Sampler sampler({.temperature = 0}, logits.size());
  EXPECT_EQ(sampler.sample(logits, {}), 3333);
}

TEST(Sampler, DrawsInProportionToProbability) {
  auto seen = counts(kPlain, kHalving);
  EXPECT_NEAR(double(seen[0]) / 4000, 0.5, 0.03);
  EXPECT_NEAR(double(seen[1]) / 4000, 0.25, 0.03);
  EXPECT_NEAR(double(seen[3]) / 4000, 0.125, 0.03);
}

TEST(Sampler, TheSameSeedDrawsTheSame) {
  std::vector<float> logits(300);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = float(i % 17) * 0.2f;
  Sampler a({.seed = 9}, 300), b({.seed = 9}, 300), c({.seed = 10}, 300);
  std::vector<Token> of_a, of_b, of_c;
  for (int i = 0; i < 50; ++i) {
    of_a.push_back(a.sample(logits, {}));
    of_b.push_back(b.sample(logits, {}));
    of_c.push_back(c.sample(logits, {}));
  }
  EXPECT_EQ(of_a, of_b);
  EXPECT_NE(of_a, of_c);
}

TEST(Sampler, TopKKeepsTheKMostLikely) {
  SamplerOptions options = kPlain;
  options.top_k = 2;
  auto seen = counts(options, {1, 5, 2, 5.5f, 0, 3});
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_TRUE(seen.contains(1) && seen.contains(3));
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  SamplerOptions options = kPlain;
  options.top_p = 0.7f;
  EXPECT_EQ(counts(options, kHalving).size(), 2u);
  options.top_p = 0.4f;
  EXPECT_EQ(counts(options, kHalving).size(), 1u);
}

TEST(Sampler, MinPDropsWhatIsUnlikelyBesideTheBest) {
  SamplerOptions options = kPlain;
  options.min_p = 0.3f;
  EXPECT_EQ(counts(options, kHalving).size(), 2u);
}

TEST(Sampler, RepetitionPenaltyActsOnTheWindowOnly) {
  SamplerOptions options = {.temperature = 0, .repetition_penalty = 2, .repetition_window = 2};
  Sampler sampler(options, 3);
  std::vector<float> logits = {4, 3, -1};
  EXPECT_EQ(sampler.sample(logits, {}), 0);
  EXPECT_EQ(sampler.sample(logits, std::vector<Token>{2, 0}), 1);
  EXPECT_EQ(sampler.sample(logits, std::vector<Token>{0, 2, 2}), 0);
  std::vector<float> negative = {-1, -1.5f, -9};
  EXPECT_EQ(sampler.sample(negative, std::vector<Token>{0}), 1);
}

TEST(Sampler, CheckNamesTheOptionOutOfRange) {
  auto message = [](SamplerOptions options) {
    return check(options).ok() ? "" : check(options).error().message;
  };
  EXPECT_TRUE(check({}).ok());
  EXPECT_NE(message({.temperature = -1}).find("temperature"), std::string::npos);
  EXPECT_NE(message({.top_p = 0}).find("top-p"), std::string::npos);
  EXPECT_NE(message({.min_p = 2}).find("min-p"), std::string::npos);
  EXPECT_NE(message({.repetition_penalty = 0}).find("repeat-penalty"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
