#include "evaluate/rouge.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>

#include "core/base/test_folders.h"
#include "evaluate/rouge_tokens.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;
using Strings = std::vector<std::string>;
namespace fs = std::filesystem;

constexpr double tolerance = 1e-6;

void expect_score(const RougeScore& got, double precision, double recall, double f1,
                  const std::string& which) {
  EXPECT_NEAR(got.precision, precision, tolerance) << which;
  EXPECT_NEAR(got.recall, recall, tolerance) << which;
  EXPECT_NEAR(got.f1, f1, tolerance) << which;
}

TEST(RougeTokensTest, AreLowerCaseLettersAndDigitsOnly) {
  EXPECT_EQ(rouge_tokens("It costs $3.50, not FOUR!", false),
            (Strings{"it", "costs", "3", "50", "not", "four"}));
  EXPECT_EQ(rouge_tokens("snake_case don't", false), (Strings{"snake", "case", "don", "t"}));
  EXPECT_EQ(rouge_tokens(" \n?\t", false), Strings{});
}

TEST(RougeTokensTest, LettersOfOtherAlphabetsSeparate) {
  EXPECT_EQ(rouge_tokens("naïve Straße, тест 今天", false), (Strings{"na", "ve", "stra", "e"}));
}

TEST(RougeTokensTest, CapitalsThatUnicodeLowersIntoAsciiCount) {
  EXPECT_EQ(rouge_tokens("\u0130zmir 5\u212ag", false), (Strings{"i", "zmir", "5kg"}));
}

TEST(RougeTokensTest, OnlyWordsOfMoreThanThreeCharactersAreStemmed) {
  EXPECT_EQ(rouge_tokens("The dogs was has running 90s ties", true),
            (Strings{"the", "dog", "was", "has", "run", "90s", "tie"}));
}

// The figures of the cases below are those of rouge-score 0.1.2.
TEST(RougeTest, StemmingMatchesWordsByTheirStems) {
  const char *reference = "The model answers questions quickly.",
             *candidate = "A quick model answered every question.";
  RougeScores plain = rouge(reference, candidate), stemmed = rouge(reference, candidate, {{1, 2, 3}, true});
  expect_score(plain.rouge_n[0], 0.1666667, 0.2, 0.1818182, "1");
  expect_score(plain.rouge_n[1], 0, 0, 0, "2");
  expect_score(stemmed.rouge_n[0], 0.5, 0.6, 0.5454545, "1 stemmed");
  expect_score(stemmed.rouge_n[1], 0.2, 0.25, 0.2222222, "2 stemmed");
  expect_score(stemmed.rouge_n[2], 0, 0, 0, "3 stemmed");
  expect_score(stemmed.rouge_l, 0.5, 0.6, 0.5454545, "L stemmed");
}

TEST(RougeTest, LinesMatterToLsumAndNotToL) {
  const char *reference = "one red apple\ntwo green pears",
             *candidate = "two green apples one red pear\none pear";
  RougeScores plain = rouge(reference, candidate), stemmed = rouge(reference, candidate, {{1}, true});
  expect_score(plain.rouge_n[1], 0.2857143, 0.4, 0.3333333, "2");
  expect_score(plain.rouge_l, 0.25, 0.3333333, 0.2857143, "L");
  expect_score(plain.rouge_lsum, 0.5, 0.6666667, 0.5714286, "Lsum");
  expect_score(stemmed.rouge_l, 0.375, 0.5, 0.4285714, "L stemmed");
  expect_score(stemmed.rouge_lsum, 0.625, 0.8333333, 0.7142857, "Lsum stemmed");
}

TEST(RougeTest, LsumCountsAWordNoMoreOftenThanBothTextsHaveIt) {
  expect_score(rouge("a b\na b a", "a b\nb").rouge_lsum, 1, 0.6, 0.75, "Lsum");
}

TEST(RougeTest, OfEqualSubsequencesLsumTakesTheOfficialOne) {
  expect_score(rouge("d a", "a d\na").rouge_lsum, 0.6666667, 1, 0.8, "Lsum");
}

TEST(RougeTest, CharactersBeyondAsciiScoreAsOfficially) {
  RougeScores scores = rouge("\u0130zmir weighs 5 \u212ag, café", "izmir weighs 5kg at the cafe i zmir");
  expect_score(scores.rouge_n[0], 0.375, 0.5, 0.4285714, "1");
  expect_score(scores.rouge_n[1], 0.1428571, 0.2, 0.1666667, "2");
  expect_score(scores.rouge_l, 0.25, 0.3333333, 0.2857143, "L");
}

TEST(RougeTest, TextsWithoutWordsScoreZero) {
  for (auto [reference, candidate] : {std::pair("", ""), {"a b", ""}, {"", "a b"}, {"...", "!\n!"}}) {
    RougeScores scores = rouge(reference, candidate, {{1, 2}, false});
    for (const RougeScore& score : scores.rouge_n) expect_score(score, 0, 0, 0, "N");
    expect_score(scores.rouge_l, 0, 0, 0, "L");
    expect_score(scores.rouge_lsum, 0, 0, 0, "Lsum");
  }
}

TEST(RougeTest, NGramsMayBeOfAnyLength) {
  const char* ten = "1 2 3 4 5 6 7 8 9 10";
  RougeScores scores = rouge(ten, ten, {{10, 11, 12345678}, false});
  expect_score(scores.rouge_n[0], 1, 1, 1, "10");
  expect_score(scores.rouge_n[1], 0, 0, 0, "11");
  expect_score(scores.rouge_n[2], 0, 0, 0, "12345678");
}

TEST(RougeMeterTest, ValueIsTheMeanOfEachFigure) {
  RougeMeter meter({{1}, false});
  EXPECT_EQ(meter.value().rouge_n.size(), 1u);
  EXPECT_EQ(meter.value().rouge_l.f1, 0);
  RougeScores first = meter.add("a b c d", "a b"), second = meter.add("a", "b");
  EXPECT_NEAR(first.rouge_n[0].recall, 0.5, tolerance);
  EXPECT_EQ(second.rouge_n[0].recall, 0);
  EXPECT_EQ(meter.n_pairs(), 2u);
  for (const RougeScore& score : {meter.value().rouge_n[0], meter.value().rouge_l, meter.value().rouge_lsum})
    expect_score(score, 0.5, 0.25, 1.0 / 3, "mean");
}

class RougeGoldenTest : public testing::TestWithParam<const char*> {};

void expect_golden(const RougeScore& got, const Json& wanted, const std::string& which) {
  expect_score(got, wanted[0], wanted[1], wanted[2], which);
}

TEST_P(RougeGoldenTest, ScoresAsTheOfficialProgram) {
  fs::path path = shared_folder() / "golden" / GetParam();
  if (!fs::exists(path))
    GTEST_SKIP() << "no recorded scores at " << path << "; EDGELLM_SHARED names the folder";
  std::ifstream lines(path);
  size_t n_pairs = 0;
  for (std::string line; std::getline(lines, line); ++n_pairs) {
    Json row = Json::parse(line);
    std::string reference = row["reference"], candidate = row["candidate"];
    for (bool stem : {false, true}) {
      const Json& wanted = row[stem ? "stem" : "nostem"];
      RougeScores got = rouge(reference, candidate, {{1, 2, 3}, stem});
      std::string pair = row["id"].dump() + (stem ? " stemmed " : " ");
      for (size_t n : {1, 2, 3})
        expect_golden(got.rouge_n[n - 1], wanted["rouge" + std::to_string(n)], pair + std::to_string(n));
      expect_golden(got.rouge_l, wanted["rougeL"], pair + "L");
      expect_golden(got.rouge_lsum, wanted["rougeLsum"], pair + "Lsum");
    }
    if (row.contains("ref_tokens_stem") && row["ref_tokens_stem"].is_array()) {
      EXPECT_EQ(rouge_tokens(reference, true), row["ref_tokens_stem"].get<Strings>()) << row["id"];
    }
  }
  EXPECT_GE(n_pairs, 40u);
}

INSTANTIATE_TEST_SUITE_P(, RougeGoldenTest, testing::Values("rouge.jsonl", "wikitext/rouge_wikitext.jsonl"),
                         [](const auto& info) { return info.index == 0 ? "Hand" : "WikiText"; });

}  // namespace
}  // namespace edgellm
