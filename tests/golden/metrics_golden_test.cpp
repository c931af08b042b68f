// BERTScore and BLEURT on recorded outputs of their official programs, with a real encoder.
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/test_folders.h"
#include "core/text/encoder_tokenizer.h"
#include "evaluate/bert_score.h"
#include "evaluate/bleurt.h"
#include "runtime/graph/encoder.h"

namespace edgellm {
namespace {

using Ids = std::vector<int32_t>;
using Json = nlohmann::json;
namespace fs = std::filesystem;

fs::path golden_folder() {
  return shared_folder() / "golden";
}

std::vector<Json> rows_of(const fs::path& path) {
  std::vector<Json> rows;
  std::ifstream lines(path);
  for (std::string line; std::getline(lines, line);) rows.push_back(Json::parse(line));
  return rows;
}

// Texts and views of them.
struct Pairs {
  explicit Pairs(const std::vector<Json>& rows) {
    for (const Json& row : rows) texts.push_back({row["candidate"], row["reference"]});
    for (const auto& [candidate, reference] : texts) views.push_back({candidate, reference});
  }
  std::vector<std::array<std::string, 2>> texts;
  std::vector<TextPair> views;
};

// Encodes a text once for each layer; the cases below differ in what is done with the vectors.
class RememberingEncoder : public TextEncoder {
 public:
  explicit RememberingEncoder(std::unique_ptr<TextEncoder> encoder) : encoder_(std::move(encoder)) {}
  size_t n_layers() const override { return encoder_->n_layers(); }
  size_t n_embedding() const override { return encoder_->n_embedding(); }
  size_t most_tokens() const override { return encoder_->most_tokens(); }
  Status encode(std::span<const TextEncoderInput> sequences, size_t layer, std::vector<float>& out) override {
    out.clear();
    for (const TextEncoderInput& sequence : sequences) {
      std::vector<float>& hidden = known_[{layer, Ids(sequence.ids.begin(), sequence.ids.end())}];
      if (hidden.empty()) EDGELLM_RETURN_IF_ERROR(encoder_->encode({&sequence, 1}, layer, hidden));
      out.insert(out.end(), hidden.begin(), hidden.end());
    }
    return {};
  }

 private:
  std::unique_ptr<TextEncoder> encoder_;
  std::map<std::pair<size_t, Ids>, std::vector<float>> known_;
};

class BertScoreGoldenTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    fs::path folder = models_folder() / "all-MiniLM-L6-v2", golden = golden_folder() / GetParam();
    if (!fs::exists(golden)) GTEST_SKIP() << "no recorded scores at " << golden;
    if (!fs::exists(folder / "model.safetensors")) GTEST_SKIP() << "no encoder at " << folder;
    auto encoder = Encoder::load(folder);
    ASSERT_TRUE(encoder.ok()) << encoder.error().message;
    encoder_ = std::make_unique<RememberingEncoder>(std::move(*encoder));
    auto tokenizer = EncoderTokenizer::from_folder(folder);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    tokenizer_ = std::make_unique<EncoderTokenizer>(std::move(*tokenizer));
    rows_ = rows_of(golden);
    ASSERT_GT(rows_.size(), 20u);
  }
  std::unique_ptr<TextEncoder> encoder_;
  std::unique_ptr<EncoderTokenizer> tokenizer_;
  std::vector<Json> rows_;
};

TEST_P(BertScoreGoldenTest, ScoresAsThePackage) {
  Pairs pairs(rows_);
  for (size_t layer : {6, 4})
    for (bool idf : {false, true})
      for (size_t batch : {1, 64}) {
        std::string key =
            "L" + std::to_string(layer) + (idf ? "_idf_bs" : "_noidf_bs") + std::to_string(batch);
        auto got = bert_scores(*encoder_, *tokenizer_, pairs.views,
                               {.layer = layer, .idf = idf, .n_pairs_in_batch = batch});
        ASSERT_TRUE(got.ok()) << got.error().message;
        double largest = 0;
        for (size_t i = 0; i < rows_.size(); ++i) {
          const double figures[] = {(*got)[i].precision, (*got)[i].recall, (*got)[i].f1};
          for (size_t k = 0; k < 3; ++k) {
            double wanted = rows_[i][key][k];
            EXPECT_NEAR(figures[k], wanted, 1e-4) << key << " pair " << rows_[i]["id"] << " figure " << k;
            largest = std::max(largest, std::abs(figures[k] - wanted));
          }
        }
        RecordProperty(key, std::to_string(largest));
      }
}

TEST_P(BertScoreGoldenTest, ReadsTheTextsAsThePackage) {
  for (const Json& row : rows_)
    for (auto [key, ids] : {std::pair("candidate", "cand_ids"), {"reference", "ref_ids"}}) {
      if (!row.contains(ids)) continue;
      EXPECT_EQ(bert_score_ids(row[key].get<std::string>(), *tokenizer_, encoder_->most_tokens()),
                row[ids].get<Ids>())
          << key << " of pair " << row["id"];
    }
}

TEST_P(BertScoreGoldenTest, WeighsTokensAsThePackage) {
  std::string name = GetParam();
  name.replace(name.find(".jsonl"), 6, "_idf.json");
  if (!fs::exists(golden_folder() / name)) GTEST_SKIP() << "no recorded weights at " << name;
  Json recorded = Json::parse(std::ifstream(golden_folder() / name));
  TokenRarity rarity;
  for (const Json& row : rows_)
    rarity.add(bert_score_ids(row["reference"].get<std::string>(), *tokenizer_, encoder_->most_tokens()));
  EXPECT_EQ(rarity.n_texts(), recorded["num_docs"].get<size_t>());
  for (const auto& [id, weight] : recorded["idf"].items())
    EXPECT_NEAR(rarity.weight(std::stoi(id)), weight.get<double>(), 1e-9) << id;
  EXPECT_NEAR(rarity.weight(-5), recorded["default"].get<double>(), 1e-9);
}

INSTANTIATE_TEST_SUITE_P(MiniLm, BertScoreGoldenTest,
                         testing::Values("bertscore_minilm.jsonl",
                                         "wikitext/bertscore_minilm_wikitext.jsonl"),
                         [](const auto& info) { return info.index == 0 ? "OwnTexts" : "WikiText"; });

// The test checkpoint has no vocabulary (it is MiniLM's) and a configuration in BLEURT's own words; here they
// are put together as a Hugging Face folder.
class BleurtGoldenTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    fs::path golden = golden_folder() / GetParam(), checkpoint = golden_folder() / "bleurt_synth";
    fs::path vocabulary = models_folder() / "all-MiniLM-L6-v2" / "vocab.txt";
    if (!fs::exists(golden)) GTEST_SKIP() << "no recorded scores at " << golden;
    if (!fs::exists(vocabulary)) GTEST_SKIP() << "no vocabulary at " << vocabulary;
    folder_ = fs::temp_directory_path() / ("edgellm-bleurt-golden-" + fs::path(GetParam()).stem().string());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    fs::create_symlink(fs::canonical(vocabulary), folder_ / "vocab.txt");
    fs::create_symlink(fs::canonical(checkpoint / "model.safetensors"), folder_ / "model.safetensors");
    Json config = Json::parse(std::ifstream(checkpoint / "config.json"));
    config["model_type"] = "bert";
    config["hidden_act"] = "gelu_new";
    std::ofstream(folder_ / "config.json") << config;
    rows_ = rows_of(golden);
    ASSERT_GT(rows_.size(), 10u);
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }
  fs::path folder_;
  std::vector<Json> rows_;
};

TEST_P(BleurtGoldenTest, ScoresAsTheOfficialProgram) {
  auto encoder = Encoder::load(folder_);
  ASSERT_TRUE(encoder.ok()) << encoder.error().message;
  auto tokenizer = EncoderTokenizer::from_folder(folder_);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  auto opened = HfFolder::open(folder_);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  auto head = BleurtHead::read(*opened, (*encoder)->n_embedding());
  ASSERT_TRUE(head.ok()) << head.error().message;
  Pairs pairs(rows_);
  auto got = bleurt_scores(**encoder, *tokenizer, *head, pairs.views);
  ASSERT_TRUE(got.ok()) << got.error().message;
  double largest = 0;
  for (size_t i = 0; i < rows_.size(); ++i) {
    double wanted = rows_[i]["score"];
    EXPECT_NEAR((*got)[i], wanted, 1e-5) << "pair " << rows_[i]["id"];
    largest = std::max(largest, std::abs((*got)[i] - wanted));
  }
  RecordProperty("largest", std::to_string(largest));
}

TEST_P(BleurtGoldenTest, ReadsThePairsAsTheOfficialProgram) {
  auto tokenizer = EncoderTokenizer::from_folder(folder_);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  for (const Json& row : rows_) {
    if (!row.contains("input_ids")) continue;
    auto got =
        tokenizer->encode_pair(row["reference"].get<std::string>(), row["candidate"].get<std::string>(),
                               {.parse_special = false, .most_tokens = 512});
    EXPECT_EQ(got.ids, row["input_ids"].get<Ids>()) << "pair " << row["id"];
    EXPECT_EQ(got.segments, row["segment_ids"].get<Ids>()) << "pair " << row["id"];
  }
}

INSTANTIATE_TEST_SUITE_P(TestCheckpoint, BleurtGoldenTest,
                         testing::Values("bleurt_synth/bleurt_synth.jsonl",
                                         "wikitext/bleurt_synth_wikitext.jsonl"),
                         [](const auto& info) { return info.index == 0 ? "OwnTexts" : "WikiText"; });

}  // namespace
}  // namespace edgellm
