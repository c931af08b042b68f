// Token for token equality with llama.cpp, on the recorded outputs of real models.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/test_folders.h"
#include "core/model_file/gguf.h"
#include "core/text/tokenizer.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

struct Model {
  const char* golden;
  const char* file;
};

class TokenizerGoldenTest : public testing::TestWithParam<Model> {
 protected:
  void SetUp() override {
    fs::path golden = shared_folder() / "golden" / GetParam().golden,
             model = models_folder() / GetParam().file;
    if (!fs::exists(golden)) GTEST_SKIP() << "no recorded outputs at " << golden;
    if (!fs::exists(model)) GTEST_SKIP() << "no model at " << model;
    auto file = GgufFile::open(model);
    ASSERT_TRUE(file.ok()) << file.error().message;
    auto made = Tokenizer::from_metadata(file->metadata());
    ASSERT_TRUE(made.ok()) << made.error().message;
    tokenizer_ = std::make_unique<Tokenizer>(std::move(*made));
    std::ifstream lines(golden);
    for (std::string line; std::getline(lines, line);) rows_.push_back(Json::parse(line));
    ASSERT_GT(rows_.size(), 100u);
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<Json> rows_;
};

TEST_P(TokenizerGoldenTest, RolesAreThoseOfLlamaCpp) {
  const Json& meta = rows_[0];
  EXPECT_EQ(tokenizer_->n_vocabulary(), meta["n_vocab"].get<size_t>());
  EXPECT_EQ(tokenizer_->bos(), meta["bos"].get<int32_t>());
  EXPECT_EQ(tokenizer_->eos(), meta["eos"].get<int32_t>());
  EXPECT_EQ(tokenizer_->adds_bos(), meta["add_bos"].get<bool>());
  std::vector<int32_t> ends;
  for (int32_t token = 0; token < int32_t(tokenizer_->n_vocabulary()); ++token)
    if (tokenizer_->ends_generation(token)) ends.push_back(token);
  EXPECT_EQ(ends, meta["eog"].get<std::vector<int32_t>>());
}

TEST_P(TokenizerGoldenTest, EncodesAsLlamaCpp) {
  struct Case {
    const char* key;
    EncodeOptions options;
  };
  const Case cases[] = {{"ids", {false, false}},
                        {"ids_addspecial", {true, false}},
                        {"ids_parse", {false, true}},
                        {"ids_addspecial_parse", {true, true}}};
  for (size_t i = 1; i < rows_.size(); ++i) {
    const Json& row = rows_[i];
    for (const Case& one : cases) {
      const Json& wanted = row.contains(one.key) ? row[one.key] : row["ids"];
      EXPECT_EQ(tokenizer_->encode(row["text"].get<std::string>(), one.options),
                wanted.get<std::vector<int32_t>>())
          << one.key << " of text " << row["id"] << ": " << row["text"];
    }
  }
}

TEST_P(TokenizerGoldenTest, PiecesAreThoseOfLlamaCpp) {
  size_t n_compared = 0;
  for (size_t i = 1; i < rows_.size(); ++i) {
    const Json& row = rows_[i];
    auto tokens = row["ids"].get<std::vector<int32_t>>();
    if (row["pieces"].size() != tokens.size()) continue;  // not recorded for long texts
    ++n_compared;
    for (size_t k = 0; k < tokens.size(); ++k) {
      std::string piece = tokenizer_->piece(tokens[k], true), wanted;
      const Json& recorded = row["pieces"][k];
      if (recorded.is_string()) {
        wanted = recorded.get<std::string>();
      } else {
        auto hex = recorded["hex"].get<std::string>();
        for (size_t h = 0; h + 1 < hex.size(); h += 2)
          wanted += char(std::stoi(hex.substr(h, 2), nullptr, 16));
      }
      EXPECT_EQ(piece, wanted) << "text " << row["id"] << " token " << tokens[k];
    }
  }
  EXPECT_GT(n_compared, rows_.size() / 2);
}

TEST_P(TokenizerGoldenTest, DecodesAsLlamaCppAndBackToTheText) {
  for (size_t i = 1; i < rows_.size(); ++i) {
    const Json& row = rows_[i];
    auto text = row["text"].get<std::string>();
    auto parsed = (row.contains("ids_parse") ? row["ids_parse"] : row["ids"]).get<std::vector<int32_t>>();
    std::string shown = row.value("decode_of_ids_parse_unparse", text);
    EXPECT_EQ(tokenizer_->decode(parsed, true), shown) << "text " << row["id"];
    EXPECT_EQ(tokenizer_->decode(parsed, false), row.value("decode_of_ids_parse_nospecial", shown))
        << "text " << row["id"];
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, TokenizerGoldenTest,
    testing::Values(Model{"tok_smollm2.jsonl", "SmolLM2-135M-Instruct.Q4_1.gguf"},
                    Model{"tok_qwen2.5-coder-0.5b.jsonl", "Qwen2.5-Coder-0.5B-Instruct.Q4.gguf"},
                    Model{"tok_qwen2.5-coder-1.5b.jsonl", "Qwen2.5-Coder-1.5B-Instruct.Q4_K_M.gguf"},
                    Model{"tok_gemma3-270m.jsonl", "gemma-3-270m.Q4_K_M.gguf"}),
    [](const auto& info) {
      std::string name = info.param.golden;
      std::string kept;
      for (char c : name)
        if (std::isalnum(static_cast<unsigned char>(c))) kept += c;
      return kept;
    });

}  // namespace
}  // namespace edgellm
