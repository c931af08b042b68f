// Token for token equality with llama.cpp, on recordings made by scripts/tokenizer_golden.py: two small
// vocabularies of our own (kept in tests/data/text), every pre-tokenizer, and, when asked for, any model on
// any number of lines.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/model_file/gguf.h"
#include "core/text/pre_tokenizer.h"
#include "core/text/tokenizer.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;
using Tokens = std::vector<int32_t>;

std::filesystem::path data(const char* name) {
  const char* source = std::getenv("EDGELLM_SOURCE_DIR");
  return std::filesystem::path(source ? source : ".") / "tests" / "data" / "text" / name;
}

std::vector<Json> rows_of(const std::filesystem::path& path) {
  std::vector<Json> rows;
  std::ifstream lines(path);
  for (std::string line; std::getline(lines, line);) rows.push_back(Json::parse(line));
  return rows;
}

Metadata metadata_of(const std::filesystem::path& path) {
  auto file = GgufFile::open(path);
  if (!file.ok()) {
    ADD_FAILURE() << file.error().message;
    return {};
  }
  return file->metadata();
}

// The number of texts whose tokens differ; the first few are shown.
size_t count_differences(const Tokenizer& tokenizer, const std::vector<Json>& rows) {
  size_t n_different = 0;
  for (const Json& row : rows) {
    if (!row.contains("text")) continue;
    auto text = row["text"].get<std::string>();
    bool same = true;
    for (bool special : {false, true}) {
      const char* key = special && row.contains("ids_addspecial_parse") ? "ids_addspecial_parse" : "ids";
      Tokens got = tokenizer.encode(text, {.add_special = special, .parse_special = special});
      auto wanted = row[key].get<Tokens>();
      if (got == wanted) continue;
      same = false;
      if (n_different < 5) {
        EXPECT_EQ(got, wanted) << key << " of " << row["text"];
      }
    }
    n_different += !same;
  }
  return n_different;
}

class TinyVocabularyTest : public testing::TestWithParam<const char*> {};

TEST_P(TinyVocabularyTest, EncodesOwnLinesAsLlamaCpp) {
  auto tokenizer = Tokenizer::from_metadata(metadata_of(data((GetParam() + std::string(".gguf")).c_str())));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  std::vector<Json> rows = rows_of(data((GetParam() + std::string(".jsonl")).c_str()));
  ASSERT_GE(rows.size(), 200u);
  EXPECT_EQ(count_differences(*tokenizer, rows), 0u);
}

TEST_P(TinyVocabularyTest, DecodesWhatItEncodedToTheSameBytes) {
  auto tokenizer = Tokenizer::from_metadata(metadata_of(data((GetParam() + std::string(".gguf")).c_str())));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  for (const Json& row : rows_of(data((GetParam() + std::string(".jsonl")).c_str()))) {
    auto text = row["text"].get<std::string>();
    // SentencePiece itself cannot tell U+2581 from a space.
    if (text.find("\xE2\x96\x81") != std::string::npos) continue;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text), true), text);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text, {.parse_special = true}), true), text);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, TinyVocabularyTest, testing::Values("tiny_bpe", "tiny_spm"),
                         [](const auto& info) { return std::string(info.param); });

TEST(PreTokenizerTest, EveryKindCutsWordsAsLlamaCpp) {
  Metadata metadata = metadata_of(data("tiny_bpe.gguf"));
  std::vector<Json> rows;
  if (const char* more = std::getenv("EDGELLM_PRE_TOKENIZER_RECORDING"))
    rows = rows_of(more);
  else
    rows = rows_of(data("pre_tokenizers.jsonl"));
  ASSERT_FALSE(rows.empty());
  for (const PreTokenizerKind& kind : pre_tokenizer_kinds()) {
    std::string name(kind.names.front());
    metadata.set("tokenizer.ggml.pre", MetadataValue::of_string(name));
    auto tokenizer = Tokenizer::from_metadata(metadata);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    size_t n_compared = 0;
    for (const Json& row : rows)
      for (const Json& result : row["of"])
        for (const Json& listed : result["names"]) {
          if (listed.get<std::string>() != name) continue;
          ++n_compared;
          EXPECT_EQ(tokenizer->encode(row["text"].get<std::string>()), result["ids"].get<Tokens>())
              << name << " on " << row["text"];
        }
    EXPECT_EQ(n_compared, rows.size()) << name;
  }
}

TEST(RecordingTest, AModelsRecordedLinesAreEncodedAsLlamaCpp) {
  const char* path = std::getenv("EDGELLM_TOKENIZER_RECORDING");
  if (!path) GTEST_SKIP() << "EDGELLM_TOKENIZER_RECORDING names no recording of scripts/tokenizer_golden.py";
  std::vector<Json> rows = rows_of(path);
  ASSERT_FALSE(rows.empty());
  auto tokenizer = Tokenizer::from_metadata(metadata_of(rows[0]["model"].get<std::string>()));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(count_differences(*tokenizer, rows), 0u) << "of " << rows.size() - 1 << " lines";
}

}  // namespace
}  // namespace edgellm
