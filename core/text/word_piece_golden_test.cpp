// Token for token equality with Hugging Face's `tokenizers`, on the recorded outputs for all-MiniLM-L6-v2.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/output_file.h"
#include "core/base/test_folders.h"
#include "core/text/word_piece.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

fs::path encoder_folder() {
  return models_folder() / "all-MiniLM-L6-v2";
}

// The parameter: read vocab.txt, not tokenizer.json.
class WordPieceGoldenTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    fs::path golden = shared_folder() / "golden" / "tok_minilm.jsonl";
    if (!fs::exists(golden)) GTEST_SKIP() << "no recorded outputs at " << golden;
    if (!fs::exists(encoder_folder() / "vocab.txt")) GTEST_SKIP() << "no encoder at " << encoder_folder();
    auto made = GetParam() ? from_vocabulary() : WordPieceTokenizer::from_folder(encoder_folder());
    ASSERT_TRUE(made.ok()) << made.error().message;
    tokenizer_ = std::make_unique<WordPieceTokenizer>(std::move(*made));
    std::ifstream lines(golden);
    for (std::string line; std::getline(lines, line);) rows_.push_back(Json::parse(line));
    ASSERT_GT(rows_.size(), 300u);
  }

  static Result<WordPieceTokenizer> from_vocabulary() {
    WordPieceFiles files;
    EDGELLM_ASSIGN_OR_RETURN(files.vocabulary, read_text_file(encoder_folder() / "vocab.txt"));
    EDGELLM_ASSIGN_OR_RETURN(files.tokenizer_config,
                             read_text_file(encoder_folder() / "tokenizer_config.json"));
    return WordPieceTokenizer::from_files(files);
  }

  std::unique_ptr<WordPieceTokenizer> tokenizer_;
  std::vector<Json> rows_;
};

TEST_P(WordPieceGoldenTest, EncodesEveryRecordedText) {
  size_t n_compared = 0;
  for (const Json& row : rows_) {
    if (row.contains("pair")) continue;
    ++n_compared;
    auto text = row["text"].get<std::string>();
    auto plain = tokenizer_->encode(text, {.add_special = false});
    EXPECT_EQ(plain.ids, row["ids"].get<std::vector<int32_t>>()) << "text " << row["id"] << ": " << text;
    EXPECT_EQ(tokenizer_->encode(text).ids, row["ids_special"].get<std::vector<int32_t>>())
        << "text " << row["id"];
    std::vector<std::string> tokens;
    for (int32_t id : plain.ids) tokens.emplace_back(tokenizer_->token(id));
    EXPECT_EQ(tokens, row["tokens"].get<std::vector<std::string>>()) << "text " << row["id"];
  }
  EXPECT_EQ(n_compared, 321u);
}

TEST_P(WordPieceGoldenTest, EncodesEveryRecordedPair) {
  size_t n_compared = 0;
  for (const Json& row : rows_) {
    if (!row.contains("pair")) continue;
    ++n_compared;
    auto got = tokenizer_->encode_pair(row["text"].get<std::string>(), row["pair"].get<std::string>());
    EXPECT_EQ(got.ids, row["ids_special"].get<std::vector<int32_t>>()) << "text " << row["id"];
    EXPECT_EQ(got.segments, row["type_ids"].get<std::vector<int32_t>>()) << "text " << row["id"];
  }
  EXPECT_EQ(n_compared, 12u);
}

TEST_P(WordPieceGoldenTest, SpecialTokensAreTheModels) {
  EXPECT_EQ(tokenizer_->n_vocabulary(), 30522u);
  EXPECT_EQ(tokenizer_->padding(), 0);
  EXPECT_EQ(tokenizer_->unknown(), 100);
  EXPECT_EQ(tokenizer_->classification(), 101);
  EXPECT_EQ(tokenizer_->separator(), 102);
  EXPECT_EQ(tokenizer_->mask(), 103);
}

INSTANTIATE_TEST_SUITE_P(MiniLm, WordPieceGoldenTest, testing::Bool(), [](const auto& info) {
  return std::string(info.param ? "FromVocabulary" : "FromTokenizerJson");
});

}  // namespace
}  // namespace edgellm
