#include "evaluate/divergence.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

#include "evaluate/log_probabilities.h"

namespace edgellm {
namespace {

// Logits that depend on the last two tokens and a seed; `noise` moves them.
class RandomModel : public LanguageModel {
 public:
  RandomModel(size_t n_vocabulary, float noise) : n_vocabulary_(n_vocabulary), noise_(noise) {}
  size_t n_vocabulary() const override { return n_vocabulary_; }
  std::vector<float> row(std::span<const Token> tokens, size_t position) const {
    std::vector<float> logits(n_vocabulary_);
    std::mt19937 base(unsigned(tokens[position]) * 31u + unsigned(position)),
        moved(unsigned(position) + 1000u);
    std::normal_distribution<float> normal(0, 3);
    for (float& x : logits) x = normal(base) + noise_ * normal(moved);
    return logits;
  }
  Status evaluate(std::span<const Token> tokens, size_t first_row, const LogitsSink& sink) override {
    for (size_t p = first_row; p < tokens.size(); ++p) EDGELLM_RETURN_IF_ERROR(sink(p, row(tokens, p)));
    return {};
  }

 private:
  size_t n_vocabulary_;
  float noise_;
};

TextWindows some_windows(size_t n_vocabulary, WindowConvention convention) {
  std::vector<Token> tokens(103);
  std::mt19937 random(5);
  for (Token& t : tokens) t = Token(random() % n_vocabulary);
  return *cut_windows(tokens, 32, 0, convention, 1);
}

std::filesystem::path scratch(const char* name) {
  return std::filesystem::temp_directory_path() / ("edgellm_divergence_" + std::to_string(::getpid()) + name);
}

// log-probabilities in double, straight from the definition
std::vector<double> log_softmax(const std::vector<float>& logits) {
  double sum = 0;
  for (float x : logits) sum += std::exp(double(x));
  std::vector<double> out;
  for (float x : logits) out.push_back(x - std::log(sum));
  return out;
}

TEST(TextWindows, LlamaConventionPutsBosFirstAndScoresTheSecondHalf) {
  TextWindows w = some_windows(50, WindowConvention::second_half);
  ASSERT_EQ(w.windows.size(), 3u);
  EXPECT_EQ(w.windows[2][0], 1);
  EXPECT_EQ(w.first_row, 16u);
  EXPECT_EQ(w.n_scored_per_window(), 15u);
}

TEST(TextWindows, PapersConventionScoresAllButTheFirst) {
  TextWindows w = some_windows(50, WindowConvention::all_tokens);
  EXPECT_EQ(w.n_scored_per_window(), 31u);
}

TEST(TextWindows, ShortTextIsAnErrorThatSaysHowShort) {
  std::vector<Token> tokens(20);
  auto w = cut_windows(tokens, 32, 0, WindowConvention::all_tokens, -1);
  ASSERT_FALSE(w.ok());
  EXPECT_NE(w.error().message.find("20 tokens"), std::string::npos);
}

TEST(LogProbabilities, AgreeWithTheDefinition) {
  std::mt19937 random(3);
  for (size_t n : {1u, 5u, 16u, 17u, 4099u}) {
    std::normal_distribution<float> normal(0, 8);
    std::vector<float> p(n), q(n);
    for (size_t i = 0; i < n; ++i) {
      p[i] = normal(random);
      q[i] = normal(random);
    }
    auto lp = log_softmax(p), lq = log_softmax(q);
    double kl = 0;
    std::vector<float> reference(n);
    for (size_t i = 0; i < n; ++i) {
      kl += std::exp(lp[i]) * (lp[i] - lq[i]);
      reference[i] = float(lp[i]);
    }
    LogNormalizer normalizer = log_normalizer(q);
    EXPECT_NEAR(q[0] - normalizer.log_sum_exp, lq[0], 1e-5);
    EXPECT_EQ(q[normalizer.top], normalizer.largest);
    EXPECT_NEAR(kl_divergence(reference, q, normalizer.log_sum_exp), kl, 1e-5 * (1 + kl));
  }
}

TEST(Perplexity, IsExpOfTheMeanLoss) {
  RandomModel model(50, 0);
  TextWindows text = some_windows(50, WindowConvention::second_half);
  double sum = 0;
  for (const auto& w : text.windows)
    for (size_t p = 16; p + 1 < w.size(); ++p) sum -= log_softmax(model.row(w, p))[size_t(w[p + 1])];
  auto result = measure_perplexity(model, text);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->n_scored, 45u);
  EXPECT_NEAR(std::log(result->perplexity), sum / 45, 1e-5);
}

TEST(Divergence, OfAModelWithItselfIsNothing) {
  RandomModel model(307, 0);
  TextWindows text = some_windows(307, WindowConvention::all_tokens);
  auto path = scratch("self");
  ASSERT_TRUE(ReferenceLogits::record(model, text, "k", path).ok());
  auto reference = ReferenceLogits::open(path, text, "k");
  ASSERT_TRUE(reference.ok());
  auto result = measure_divergence(model, text, *reference);
  ASSERT_TRUE(result.ok());
  EXPECT_LT(result->mean_kl, 1e-6);
  EXPECT_EQ(result->same_top, 1.0);
  std::filesystem::remove(path);
}

TEST(Divergence, AgreesWithTheDefinitionThroughTheFile) {
  RandomModel model(307, 0), moved(307, 0.2f);
  TextWindows text = some_windows(307, WindowConvention::second_half);
  auto path = scratch("moved");
  ASSERT_TRUE(ReferenceLogits::record(model, text, "k", path).ok());
  auto reference = ReferenceLogits::open(path, text, "k");
  ASSERT_TRUE(reference.ok());
  double sum = 0;
  size_t n = 0;
  for (const auto& w : text.windows)
    for (size_t p = text.first_row; p + 1 < w.size(); ++p, ++n) {
      auto lp = log_softmax(model.row(w, p)), lq = log_softmax(moved.row(w, p));
      for (size_t i = 0; i < lp.size(); ++i) sum += std::exp(lp[i]) * (lp[i] - lq[i]);
    }
  auto result = measure_divergence(moved, text, *reference);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->n_scored, n);
  EXPECT_NEAR(result->mean_kl, sum / double(n), 2e-4);
  EXPECT_GE(result->percentile_99_kl, result->median_kl);
  std::filesystem::remove(path);
}

TEST(ReferenceLogits, AnotherKeyTextOrATruncatedFileIsRefused) {
  RandomModel model(30, 0);
  TextWindows text = some_windows(30, WindowConvention::second_half);
  auto path = scratch("refused");
  ASSERT_TRUE(ReferenceLogits::record(model, text, "k", path).ok());
  EXPECT_FALSE(ReferenceLogits::open(path, text, "other").ok());
  TextWindows other = text;
  other.windows[0][3] ^= 1;
  EXPECT_FALSE(ReferenceLogits::open(path, other, "k").ok());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_FALSE(ReferenceLogits::open(path, text, "k").ok());
  std::filesystem::resize_file(path, 10);
  EXPECT_FALSE(ReferenceLogits::open(path, text, "k").ok());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace edgellm
