// Id for id as the recorded programs, on small tokenizers of our own:
// scripts/make_encoder_tokenizer_cases.py.
#include "core/text/encoder_tokenizer.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/output_file.h"
#include "core/base/test_folders.h"

namespace edgellm {
namespace {

using Ids = std::vector<int32_t>;
using Json = nlohmann::json;
namespace fs = std::filesystem;

fs::path data_folder() {
  return source_folder() / "tests" / "data" / "encoder_tokenizers";
}

std::string contents(const fs::path& path) {
  auto text = read_text_file(path);
  EXPECT_TRUE(text.ok()) << text.error().message;
  return text.ok() ? *text : "";
}

std::string error_of(const EncoderTokenizerFiles& files) {
  auto made = EncoderTokenizer::from_files(files);
  return made.ok() ? "no error" : made.error().message;
}

class EncoderTokenizerCasesTest : public testing::TestWithParam<const char*> {};

TEST_P(EncoderTokenizerCasesTest, EncodesAsRecorded) {
  fs::path folder = data_folder() / GetParam();
  auto made = EncoderTokenizer::from_folder(folder);
  ASSERT_TRUE(made.ok()) << made.error().message;
  std::ifstream lines(folder / "cases.jsonl");
  size_t n_cases = 0;
  for (std::string line; std::getline(lines, line); ++n_cases) {
    Json row = Json::parse(line);
    auto text = row["text"].get<std::string>();
    if (!row.contains("second")) {
      EXPECT_EQ(made->encode(text).ids, row["ids"].get<Ids>()) << line;
      if (row.contains("prefixed")) {
        EXPECT_EQ(made->encode(text, {.add_prefix_space = true}).ids, row["prefixed"].get<Ids>()) << line;
      }
      continue;
    }
    auto got = made->encode_pair(text, row["second"].get<std::string>(), {.most_tokens = row["most"]});
    EXPECT_EQ(got.ids, row["ids"].get<Ids>()) << line;
    EXPECT_EQ(got.segments, row["segments"].get<Ids>()) << line;
  }
  EXPECT_GT(n_cases, 50u);
}

INSTANTIATE_TEST_SUITE_P(Recorded, EncoderTokenizerCasesTest,
                         testing::Values("roberta", "roberta_json", "roberta_prefix_json", "rembert",
                                         "rembert_json", "xlm_roberta", "xlm_roberta_json", "user_defined"),
                         [](const auto& info) { return std::string(info.param); });

TEST(EncoderTokenizerTest, KnowsItsKindAndSpecialTokens) {
  struct Known {
    const char *folder, *kind;
    const char *first, *last;
  };
  for (Known known : {Known{"roberta", "byte-level BPE", "<s>", "</s>"},
                      {"roberta_json", "byte-level BPE", "<s>", "</s>"},
                      {"rembert", "Unigram", "[CLS]", "[SEP]"},
                      {"rembert_json", "Unigram", "[CLS]", "[SEP]"},
                      {"xlm_roberta", "Unigram", "<s>", "</s>"},
                      {"xlm_roberta_json", "Unigram", "<s>", "</s>"}}) {
    auto made = EncoderTokenizer::from_folder(data_folder() / known.folder);
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made->kind(), known.kind) << known.folder;
    EXPECT_GE(made->classification(), 0) << known.folder;
    EXPECT_EQ(made->classification(), made->find(known.first)) << known.folder;
    EXPECT_EQ(made->separator(), made->find(known.last)) << known.folder;
    EXPECT_EQ(made->find("no such token"), -1);
    EXPECT_EQ(made->encode("").ids, (Ids{made->classification(), made->separator()})) << known.folder;
    for (int32_t id : made->encode("naïve 日本 😀").ids) EXPECT_LT(size_t(id), made->n_vocabulary());
  }
}

TEST(EncoderTokenizerTest, TakesTheLimitFromTheConfiguration) {
  auto stated = EncoderTokenizer::from_folder(data_folder() / "roberta");
  auto silent = EncoderTokenizer::from_folder(data_folder() / "rembert");
  ASSERT_TRUE(stated.ok() && silent.ok());
  EXPECT_EQ(stated->most_tokens(), 512u);
  EXPECT_EQ(silent->most_tokens(), size_t(-1));
}

TEST(EncoderTokenizerTest, WordPieceStandsBehindTheSameInterface) {
  auto made = EncoderTokenizer::from_files({.word_pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n##b\n"});
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->kind(), "WordPiece");
  EXPECT_EQ(made->n_vocabulary(), 7u);
  EXPECT_EQ(made->classification(), 2);
  EXPECT_EQ(made->encode("ab").ids, (Ids{2, 4, 6, 3}));
  auto pair = made->encode_pair("a", "b", {.most_tokens = 5});
  EXPECT_EQ(pair.ids, (Ids{2, 4, 3, 5, 3}));
  EXPECT_EQ(pair.segments, (Ids{0, 0, 0, 1, 1}));
}

TEST(EncoderTokenizerTest, SpecialTokensInATextAreLettersUnlessAskedFor) {
  for (const char* name : {"roberta", "roberta_json", "rembert", "xlm_roberta", "xlm_roberta_json"}) {
    auto made = EncoderTokenizer::from_folder(data_folder() / name);
    ASSERT_TRUE(made.ok());
    const char* mask = std::string_view(name) == "rembert" ? "[MASK]" : "<mask>";
    auto has_mask = [&](bool parse) {
      Ids ids = made->encode(std::string("a ") + mask, {.parse_special = parse}).ids;
      return std::find(ids.begin(), ids.end(), made->find(mask)) != ids.end();
    };
    EXPECT_TRUE(has_mask(true)) << name;
    if (!std::string_view(name).ends_with("xlm_roberta_json")) {
      EXPECT_FALSE(has_mask(false)) << name;
    }
  }
}

TEST(EncoderTokenizerTest, BytesThatAreNoUtf8DoNoHarm) {
  for (const char* name : {"roberta", "rembert", "rembert_json", "user_defined"}) {
    auto made = EncoderTokenizer::from_folder(data_folder() / name);
    ASSERT_TRUE(made.ok());
    EXPECT_EQ(made->encode("a\xFF\xC3").ids, made->encode("a\uFFFD\uFFFD").ids) << name;
  }
}

TEST(EncoderTokenizerTest, SaysWhatIsWrongWithTheFiles) {
  EXPECT_NE(error_of({}).find("it has no tokenizer: wanted tokenizer.json"), std::string::npos);
  EXPECT_NE(error_of({.tokenizer = "[1"}).find("not valid JSON"), std::string::npos);
  EXPECT_NE(error_of({.byte_pairs = "{\"<s>\": 0}"}).find("merges.txt is missing"), std::string::npos);
  EXPECT_NE(
      error_of({.byte_pairs = "{\"<s>\": 0}", .merges = "a b\n"}).find("lacks the special token '</s>'"),
      std::string::npos);
  EXPECT_NE(error_of({.byte_pairs = "{\"<s>\": 0}", .merges = "a b\nab\n"}).find("merges.txt:2"),
            std::string::npos);
  std::string model = contents(data_folder() / "rembert" / "sentencepiece.model");
  EXPECT_NE(error_of({.sentencepiece = model.substr(0, 1000), .sentencepiece_name = "spm.model"})
                .find("spm.model: this is no SentencePiece model, or it is cut short"),
            std::string::npos);
  std::string other = contents(source_folder() / "tests" / "data" / "text" / "sentencepiece.model");
  EXPECT_NE(error_of({.sentencepiece = other, .sentencepiece_name = "spm.model"})
                .find("spm.model: wanted a model of the unigram kind (1), got kind 2"),
            std::string::npos);
}

TEST(EncoderTokenizerTest, RefusesStepsItDoesNotKnow) {
  Json good = Json::parse(contents(data_folder() / "rembert_json" / "tokenizer.json"));
  auto error_with = [&](const char* pointer, Json value) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = std::move(value);
    return error_of({.tokenizer = bad.dump()});
  };
  EXPECT_NE(error_with("/normalizer", {{"type", "Sideways"}}).find("'Sideways'"), std::string::npos);
  EXPECT_NE(error_with("/pre_tokenizer", {{"type", "Digits"}}).find("'Digits'"), std::string::npos);
  EXPECT_NE(error_with("/post_processor", {{"type", "Odd"}}).find("'Odd'"), std::string::npos);
  EXPECT_NE(error_with("/model/unk_id", nullptr).find("needs the number of its unknown piece"),
            std::string::npos);
  EXPECT_NE(error_with("/model/vocab/7", {"x"}).find("piece 7 is no pair"), std::string::npos);
  EXPECT_NE(error_with("/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAECAwQF"}})
                .find("cut short or damaged"),
            std::string::npos);
  EXPECT_NE(error_with("/normalizer", {{"type", "Replace"}, {"pattern", {{"Regex", "("}}}, {"content", ""}})
                .find("pattern '('"),
            std::string::npos);
}

TEST(EncoderTokenizerTest, NormalizerStepsChangeTheText) {
  Json json = Json::parse(contents(data_folder() / "rembert_json" / "tokenizer.json"));
  auto with = [&](Json steps) {
    json["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
    auto made = EncoderTokenizer::from_files({.tokenizer = json.dump()});
    EXPECT_TRUE(made.ok()) << made.error().message;
    return std::move(*made);
  };
  Json plain = Json::array();
  auto expect_same = [&](Json steps, const char* text, const char* becomes) {
    EXPECT_EQ(with(std::move(steps)).encode(text).ids, with(plain).encode(becomes).ids) << text;
  };
  expect_same({{{"type", "Strip"}, {"strip_left", true}, {"strip_right", false}}}, " \u3000the cat",
              "the cat");
  expect_same({{{"type", "Lowercase"}}}, "THE CAT", "the cat");
  expect_same({{{"type", "NFKD"}}, {{"type", "StripAccents"}}}, "th\u00e9 c\u00e2t \uff41", "the cat a");
  expect_same({{{"type", "NFC"}}}, "cafe\u0301", "caf\u00e9");
  expect_same({{{"type", "Prepend"}, {"prepend", "the "}}}, "cat", "the cat");
  expect_same({{{"type", "Replace"}, {"pattern", {{"Regex", " {2,}"}}}, {"content", " "}}}, "the   cat",
              "the cat");
  expect_same({{{"type", "BertNormalizer"}, {"lowercase", true}}}, "THE\tC\u00c2T", "the cat");
}

}  // namespace
}  // namespace edgellm
