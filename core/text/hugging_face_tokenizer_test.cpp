#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"
#include "core/model_file/gguf.h"
#include "core/text/tokenizer.h"

namespace edgellm {
namespace {

using Json = nlohmann::json;
using Tokens = std::vector<int32_t>;
namespace fs = std::filesystem;

fs::path data(const std::string& name) {
  const char* source = std::getenv("EDGELLM_SOURCE_DIR");
  return fs::path(source ? source : ".") / "tests" / "data" / "text" / name;
}

std::vector<std::string> own_texts(const std::string& name) {
  std::vector<std::string> texts;
  std::ifstream lines(data(name));
  for (std::string line; std::getline(lines, line);)
    texts.push_back(Json::parse(line)["text"].get<std::string>());
  return texts;
}

// A byte-level tokenizer.json of the four tokens and one merge.
Json tiny_json() {
  return Json::parse(R"({
    "added_tokens": [{"id": 3, "content": "<|end|>", "special": true}, {"id": 5, "content": "<tool>", "special": false}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "post_processor": {"type": "TemplateProcessing",
                       "single": [{"SpecialToken": {"id": "<|end|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})");
}

std::string error_of(const std::string& tokenizer, const std::string& config = "") {
  Metadata metadata;
  metadata.set("general.name", MetadataValue::of_string("kept"));
  auto status = tokenizer_metadata_from_hf_files({.tokenizer = tokenizer, .config = config}, metadata);
  EXPECT_TRUE(status.ok() || metadata.entries().size() == 1) << "metadata changed in spite of the error";
  return status.ok() ? "" : status.error().message;
}

TEST(HuggingFaceTokenizerTest, BecomesTheMetadataThatLlamaCppsConverterWrites) {
  HuggingFaceTokenizerFiles files;
  files.tokenizer = tiny_json().dump();
  files.tokenizer_config =
      R"({"bos_token": "<|end|>", "eos_token": {"content": "<|end|>"}, "chat_template": "{{ x }}"})";
  files.config = R"({"vocab_size": 8, "pad_token_id": 2})";
  files.generation_config = R"({"eos_token_id": [3, 5]})";
  Metadata metadata;
  auto status = tokenizer_metadata_from_hf_files(files, metadata);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(*metadata.string("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(*metadata.string("tokenizer.ggml.pre"), "gpt-2");
  EXPECT_EQ(**metadata.strings("tokenizer.ggml.tokens"),
            (std::vector<std::string>{"a", "b", "ab", "<|end|>", "[PAD4]", "<tool>", "[PAD6]", "[PAD7]"}));
  EXPECT_EQ(*metadata.integers("tokenizer.ggml.token_type"), (std::vector<int64_t>{1, 1, 1, 3, 5, 4, 5, 5}));
  EXPECT_EQ(**metadata.strings("tokenizer.ggml.merges"), std::vector<std::string>{"a b"});
  EXPECT_EQ(*metadata.integer("tokenizer.ggml.bos_token_id"), 3);
  EXPECT_EQ(*metadata.integer("tokenizer.ggml.eos_token_id"), 3);
  EXPECT_EQ(*metadata.integer("tokenizer.ggml.padding_token_id"), 2);
  EXPECT_EQ(*metadata.integer("tokenizer.ggml.eot_token_id"), 5);
  EXPECT_TRUE(*metadata.boolean("tokenizer.ggml.add_bos_token"));
  EXPECT_EQ(*metadata.string("tokenizer.chat_template"), "{{ x }}");
  auto tokenizer = Tokenizer::from_metadata(metadata);
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(tokenizer->encode("aab<tool>", {.add_special = true}), (Tokens{3, 0, 2, 5}));
  EXPECT_TRUE(tokenizer->ends_generation(5));
}

TEST(HuggingFaceTokenizerTest, SentencePieceLikeMergesBecomeScores) {
  Json json = Json::parse(R"({
    "added_tokens": [{"id": 0, "content": "<unk>", "special": true}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"},
                   {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
    "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>",
              "vocab": {"<unk>": 0, "<0x41>": 1, "\u2581": 2, "a": 3, "b": 4, "\u2581a": 5, "ab": 6, "\u2581ab": 7},
              "merges": [["a", "b"], ["\u2581", "a"], ["\u2581a", "b"], ["\u2581", "ab"]]}})");
  Metadata metadata;
  auto status = tokenizer_metadata_from_hf_files({.tokenizer = json.dump()}, metadata);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(*metadata.string("tokenizer.ggml.model"), "llama");
  EXPECT_TRUE(*metadata.boolean("tokenizer.ggml.add_space_prefix"));
  EXPECT_EQ(*metadata.integers("tokenizer.ggml.token_type"), (std::vector<int64_t>{3, 6, 1, 1, 1, 1, 1, 1}));
  auto scores = *metadata.reals("tokenizer.ggml.scores");
  EXPECT_GT(scores[6], scores[5]);
  EXPECT_GT(scores[5], scores[7]);
  auto tokenizer = Tokenizer::from_metadata(metadata);
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(tokenizer->encode("ab aA"), (Tokens{7, 5, 1}));
}

TEST(HuggingFaceTokenizerTest, SentencePieceModelFileGivesSentencePiecesTokens) {
  auto bytes = read_text_file(data("sentencepiece.model"));
  ASSERT_TRUE(bytes.ok()) << bytes.error().message;
  Metadata metadata;
  auto status = tokenizer_metadata_from_hf_files({.sentencepiece = *bytes}, metadata);
  ASSERT_TRUE(status.ok()) << status.error().message;
  auto tokenizer = Tokenizer::from_metadata(metadata);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  std::ifstream lines(data("sentencepiece.jsonl"));
  size_t n_lines = 0;
  for (std::string line; std::getline(lines, line); ++n_lines) {
    Json row = Json::parse(line);
    EXPECT_EQ(tokenizer->encode(row["text"].get<std::string>()), row["ids"].get<Tokens>()) << row["text"];
  }
  EXPECT_GT(n_lines, 20u);
  for (size_t cut : {size_t{0}, size_t{1}, size_t{100}, bytes->size() / 2, bytes->size() - 1}) {
    Metadata unused;
    EXPECT_FALSE(tokenizer_metadata_from_hf_files({.sentencepiece = bytes->substr(0, cut)}, unused).ok())
        << cut;
  }
}

class RoundTripTest : public testing::TestWithParam<const char*> {};

TEST_P(RoundTripTest, GgufToHuggingFaceAndBackKeepsTheTokens) {
  auto file = GgufFile::open(data(GetParam() + std::string(".gguf")));
  ASSERT_TRUE(file.ok()) << file.error().message;
  TemporaryFolder folder = *TemporaryFolder::create("tokenizer");
  auto written = write_hf_tokenizer(file->metadata(), folder.path());
  ASSERT_TRUE(written.ok()) << written.error().message;
  Metadata back;
  auto read = tokenizer_metadata_from_hf(folder.path(), back);
  ASSERT_TRUE(read.ok()) << read.error().message;
  for (const char* key : {"model", "tokens", "merges", "bos_token_id", "eos_token_id", "unknown_token_id"}) {
    const MetadataValue *before = file->metadata().find(std::string("tokenizer.ggml.") + key),
                        *after = back.find(std::string("tokenizer.ggml.") + key);
    ASSERT_EQ(before == nullptr, after == nullptr) << key;
    EXPECT_TRUE(!before || *before == *after) << key;
  }
  auto first = Tokenizer::from_metadata(file->metadata()), second = Tokenizer::from_metadata(back);
  ASSERT_TRUE(first.ok() && second.ok());
  for (const std::string& text : own_texts(GetParam() + std::string(".jsonl")))
    for (bool special : {false, true}) {
      EncodeOptions options{.add_special = special, .parse_special = special};
      EXPECT_EQ(first->encode(text, options), second->encode(text, options)) << text;
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, RoundTripTest, testing::Values("tiny_bpe", "tiny_spm"),
                         [](const auto& info) { return std::string(info.param); });

TEST(HuggingFaceTokenizerTest, EveryPreTokenizerThatIsWrittenIsRecognizedAgain) {
  auto file = GgufFile::open(data("tiny_bpe.gguf"));
  ASSERT_TRUE(file.ok());
  Metadata metadata = file->metadata();
  for (const char* name :
       {"gpt-2", "smollm", "qwen2", "llama-bpe", "tekken", "gpt-4o", "deepseek-llm", "deepseek-coder",
        "deepseek-v3", "default", "falcon", "qwen35", "bloom", "viking", "seed-coder"}) {
    metadata.set("tokenizer.ggml.pre", MetadataValue::of_string(name));
    TemporaryFolder folder = *TemporaryFolder::create("tokenizer");
    ASSERT_TRUE(write_hf_tokenizer(metadata, folder.path()).ok());
    Metadata back;
    auto status = tokenizer_metadata_from_hf(folder.path(), back);
    ASSERT_TRUE(status.ok()) << name << ": " << status.error().message;
    auto first = Tokenizer::from_metadata(metadata), second = Tokenizer::from_metadata(back);
    ASSERT_TRUE(first.ok() && second.ok());
    for (const std::string& text : own_texts("tiny_bpe.jsonl"))
      EXPECT_EQ(first->encode(text), second->encode(text)) << name;
  }
}

TEST(HuggingFaceTokenizerTest, ErrorNamesWhatIsWrong) {
  auto spoiled = [](auto spoil) {
    Json json = tiny_json();
    spoil(json);
    return error_of(json.dump());
  };
  auto has = [](const std::string& message, const char* part) {
    return message.find(part) != std::string::npos
               ? testing::AssertionSuccess()
               : testing::AssertionFailure() << "'" << part << "' not in: " << message;
  };
  EXPECT_TRUE(has(error_of(""), "neither tokenizer.json"));
  EXPECT_TRUE(has(error_of("{\"model\""), "not valid JSON"));
  EXPECT_TRUE(has(error_of("\xFF\xFE"), "not valid JSON"));
  EXPECT_TRUE(has(error_of("[]"), "wanted a JSON object"));
  EXPECT_TRUE(has(error_of("{}"), "model"));
  EXPECT_TRUE(has(error_of(std::string(100000, '[')), "not valid JSON"));
  EXPECT_TRUE(
      has(error_of("{\"model\": " + std::string(100000, '[') + std::string(100000, ']') + "}"), "model"));
  EXPECT_TRUE(has(error_of(tiny_json().dump(), R"({"vocab_size": -1})"), "vocab_size"));
  EXPECT_TRUE(has(error_of(tiny_json().dump(), R"({"vocab_size": 99999999999})"), "vocab_size"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["model"]["type"] = "Unigram"; }), "Unigram"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["model"]["vocab"] = Json::array(); }), "vocab"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["model"]["vocab"]["a"] = "x"; }), "'a'"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["model"]["vocab"]["a"] = -1; }), "'a'"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["model"]["vocab"]["a"] = 1e18; }), "'a'"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["model"]["vocab"]["a"] = 4000000000u; }), "out of range"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["model"]["merges"] = 7; }), "merges"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["model"]["merges"] = {7}; }), "merge 0"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["model"]["merges"] = {"a c"}; }), "'c'"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["added_tokens"][0]["content"] = "a"; }), "'a'"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["added_tokens"][0].erase("id"); }), "added token"));
  EXPECT_TRUE(has(spoiled([](Json& j) { j["pre_tokenizer"] = {{"type", "Bert"}}; }), "Bert"));
  EXPECT_TRUE(has(spoiled([](Json& j) {
                    j["pre_tokenizer"] = Json::parse(R"({"type": "Sequence", "pretokenizers": [
                        {"type": "Split", "pattern": {"Regex": "q+"}}, {"type": "ByteLevel", "use_regex": false}]})");
                  }),
                  "q+"));
}

}  // namespace
}  // namespace edgellm
