// The figures of the bert-score package on a stand-in for the encoder: scripts/make_bert_score_cases.py. With
// a real encoder: tests/golden.
#include "evaluate/bert_score.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/output_file.h"
#include "core/base/test_folders.h"
#include "evaluate/bert_score_layers.h"
#include "evaluate/table_encoder.h"
#include "evaluate/token_match.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr double kTolerance = 2e-6;

EncoderTokenizer tokenizer(const std::string& name) {
  auto made = EncoderTokenizer::from_folder(source_folder() / "tests" / "data" / "encoder_tokenizers" / name);
  EXPECT_TRUE(made.ok()) << made.error().message;
  return std::move(*made);
}

void expect_number(double got, const Json& wanted, const std::string& which) {
  if (wanted.is_null()) {
    EXPECT_TRUE(std::isnan(got)) << which << " " << got;
  } else {
    // F1 may be large where precision and recall nearly cancel.
    EXPECT_NEAR(got, wanted.get<double>(), kTolerance * std::max(1.0, std::abs(got))) << which;
  }
}

TEST(BertScoreTest, ScoresAsThePackageWithEveryBatchAndWeight) {
  Json recorded =
      Json::parse(std::ifstream(source_folder() / "tests" / "data" / "bert_score" / "cases.json"));
  auto texts = recorded["pairs"].get<std::vector<std::array<std::string, 2>>>();
  std::vector<TextPair> pairs;
  for (const auto& [candidate, reference] : texts) pairs.push_back({candidate, reference});
  for (const Json& row : recorded["cases"]) {
    TableEncoder encoder;
    BertScoreOptions options{.layer = 0, .idf = row["idf"], .n_pairs_in_batch = row["batch"]};
    auto got = bert_scores(encoder, tokenizer(row["tokenizer"]), pairs, options);
    ASSERT_TRUE(got.ok()) << got.error().message;
    ASSERT_EQ(got->size(), row["scores"].size());
    for (size_t i = 0; i < got->size(); ++i) {
      std::string which = row["tokenizer"].dump() + row["idf"].dump() + row["batch"].dump() + texts[i][0];
      expect_number((*got)[i].precision, row["scores"][i][0], which);
      expect_number((*got)[i].recall, row["scores"][i][1], which);
      expect_number((*got)[i].f1, row["scores"][i][2], which);
    }
  }
  EXPECT_EQ(recorded["cases"].size(), 12u);
}

TEST(BertScoreTest, EveryDifferentTextIsEncodedOnce) {
  TableEncoder encoder;
  std::vector<TextPair> pairs(200, {"the cat", "the mat"});
  pairs.push_back({"the mat", " the cat "});
  ASSERT_TRUE(bert_scores(encoder, tokenizer("roberta"), pairs, {}).ok());
  EXPECT_EQ(encoder.n_sequences, 2u);
}

TEST(BertScoreTest, ManyPairsScoreAsEachAlone) {
  EncoderTokenizer words = tokenizer("rembert");
  std::vector<std::string> texts;
  for (size_t i = 0; i < 150; ++i)
    texts.push_back("the cat " + std::string(i % 7, 'x') + " " + std::to_string(i));
  std::vector<TextPair> pairs;
  for (size_t i = 0; i < texts.size(); ++i) pairs.push_back({texts[i], texts[(i * 7 + 3) % texts.size()]});
  TableEncoder encoder;
  auto all = bert_scores(encoder, words, pairs, {.n_pairs_in_batch = 1});
  ASSERT_TRUE(all.ok());
  for (size_t i = 0; i < pairs.size(); ++i) {
    auto alone = bert_scores(encoder, words, std::span(pairs).subspan(i, 1), {});
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ((*all)[i].f1, (*alone)[0].f1);
  }
}

TEST(BertScoreTest, BaselineRescalesEveryFigure) {
  TableEncoder encoder;
  std::vector<TextPair> pairs = {{"the cat", "the mat"}, {"", "the mat"}};
  EncoderTokenizer words = tokenizer("roberta");
  auto raw = bert_scores(encoder, words, pairs, {});
  auto scaled = bert_scores(encoder, words, pairs, {.baseline = BertScore{0.5, 0.25, -1}});
  ASSERT_TRUE(raw.ok() && scaled.ok());
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR((*scaled)[i].precision, ((*raw)[i].precision - 0.5) / 0.5, 1e-12);
    EXPECT_NEAR((*scaled)[i].recall, ((*raw)[i].recall - 0.25) / 0.75, 1e-12);
    EXPECT_NEAR((*scaled)[i].f1, ((*raw)[i].f1 + 1) / 2, 1e-12);
  }
  EXPECT_EQ((*scaled)[1].precision, -1);
}

TEST(BertScoreTest, LongTextsAreCutToTheSmallerLimit) {
  EncoderTokenizer words = tokenizer("roberta");  // states 512
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "cat ";
  EXPECT_EQ(bert_score_ids(text, words, 10000).size(), 512u);
  auto ids = bert_score_ids(text, words, 20);
  EXPECT_EQ(ids.size(), 20u);
  EXPECT_EQ(ids.back(), words.separator());
}

TEST(BertScoreTest, MeanIsOverEachFigure) {
  EXPECT_EQ(mean(std::span<const BertScore>()).f1, 0);
  std::vector<BertScore> scores = {{1, 0.5, 0.25}, {0, 0.5, 0.75}};
  EXPECT_NEAR(mean(scores).precision, 0.5, 1e-12);
  EXPECT_NEAR(mean(scores).recall, 0.5, 1e-12);
  EXPECT_NEAR(mean(scores).f1, 0.5, 1e-12);
}

TEST(TokenRarityTest, IsTheLogarithmOfTextsOverTextsWithTheToken) {
  TokenRarity rarity;
  rarity.add(std::vector<int32_t>{1, 2, 2, 2});
  rarity.add(std::vector<int32_t>{1, 3});
  EXPECT_NEAR(rarity.weight(1), 0, 1e-12);
  EXPECT_NEAR(rarity.weight(2), std::log(3.0 / 2), 1e-12);
  EXPECT_NEAR(rarity.weight(99), std::log(3.0), 1e-12);
}

TEST(BertScoreBaselineTest, ReadsTheRowOfTheLayer) {
  fs::path path = fs::temp_directory_path() / "edgellm-baseline-test.tsv";
  auto write = [&](std::string_view text) { ASSERT_TRUE(write_text_file(path, text).ok()); };
  write("LAYER,P,R,F\n0,0.1,0.2,0.3\n1,0.4,0.5,0.6\n");
  auto row = read_bert_score_baseline(path, 1);
  ASSERT_TRUE(row.ok()) << row.error().message;
  EXPECT_EQ(row->precision, 0.4);
  EXPECT_EQ(row->recall, 0.5);
  EXPECT_EQ(row->f1, 0.6);
  auto absent = read_bert_score_baseline(path, 2);
  ASSERT_FALSE(absent.ok());
  EXPECT_NE(absent.error().message.find("no baseline for layer 2"), std::string::npos);
  write("LAYER,P,R,F\n0,0.1,oops,0.3\n");
  auto broken = read_bert_score_baseline(path, 0);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find("edgellm-baseline-test.tsv:2: wanted LAYER,P,R,F"),
            std::string::npos);
  fs::remove(path);
}

TEST(BertScoreLayersTest, AreKnownByTheLastPartOfTheName) {
  EXPECT_EQ(bert_score_layer("roberta-large"), 17u);
  EXPECT_EQ(bert_score_layer("FacebookAI/roberta-large"), 17u);
  EXPECT_EQ(bert_score_layer("/models/bert-base-uncased/"), 9u);
  EXPECT_EQ(bert_score_layer("all-MiniLM-L6-v2"), std::nullopt);
  EXPECT_EQ(bert_score_layer(""), std::nullopt);
}

TEST(TokenMatchTest, FindsTheLargestCosineOfEveryToken) {
  for (size_t n_first : {1, 7, 8, 9, 30})
    for (size_t n_second : {1, 8, 17}) {
      constexpr size_t kEmbedding = 5;
      std::vector<float> first, second;
      for (size_t i = 0; i < n_first * kEmbedding; ++i) first.push_back(float(std::sin(double(i) * 3.7 + 1)));
      for (size_t i = 0; i < n_second * kEmbedding; ++i) second.push_back(float(std::cos(double(i) * 2.3)));
      TokenMatch match = match_tokens(TokenVectors::normalized(first, kEmbedding),
                                      TokenVectors::normalized(second, kEmbedding));
      ASSERT_EQ(match.first.size(), n_first);
      ASSERT_EQ(match.second.size(), n_second);
      auto cosine = [&](size_t i, size_t j) {
        double dot = 0, a = 0, b = 0;
        for (size_t k = 0; k < kEmbedding; ++k) {
          double x = first[i * kEmbedding + k], y = second[j * kEmbedding + k];
          dot += x * y, a += x * x, b += y * y;
        }
        return dot / std::sqrt(a * b);
      };
      for (size_t i = 0; i < n_first; ++i) {
        double best = -2;
        for (size_t j = 0; j < n_second; ++j) best = std::max(best, cosine(i, j));
        EXPECT_NEAR(match.first[i], best, 1e-6);
      }
      for (size_t j = 0; j < n_second; ++j) {
        double best = -2;
        for (size_t i = 0; i < n_first; ++i) best = std::max(best, cosine(i, j));
        EXPECT_NEAR(match.second[j], best, 1e-6);
      }
    }
}

}  // namespace
}  // namespace edgellm
