#include "core/text/tokenizer.h"

#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <stdexcept>

#include "core/text/byte_level.h"
#include "core/text/byte_pair_encoder.h"
#include "core/text/pre_tokenizer.h"

namespace edgellm {
namespace {

using Tokens = std::vector<int32_t>;

// A byte-level BPE with the 256 bytes, some merges, and special tokens at the end.
Metadata tiny_bpe(std::vector<std::pair<std::string, int32_t>> special = {},
                  std::vector<std::string> merges = {"h e", "l l", "he ll", "hell o", "Ġ hello"}) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(byte_level_character(uint8_t(byte)));
  for (const std::string& merge : merges) {
    size_t space = merge.find(' ');
    tokens.push_back(merge.substr(0, space) + merge.substr(space + 1));
  }
  std::vector<int32_t> types(tokens.size(), 1);
  for (auto& [text, type] : special) {
    tokens.push_back(text);
    types.push_back(type);
  }
  Metadata metadata;
  metadata.set("tokenizer.ggml.model", MetadataValue::of_string("gpt2"));
  metadata.set("tokenizer.ggml.pre", MetadataValue::of_string("gpt-2"));
  metadata.set("tokenizer.ggml.tokens", MetadataValue::of_strings(std::move(tokens)));
  metadata.set("tokenizer.ggml.token_type", MetadataValue::of_int32s(types));
  metadata.set("tokenizer.ggml.merges", MetadataValue::of_strings(std::move(merges)));
  return metadata;
}

Metadata tiny_spm() {
  std::vector<std::string> tokens = {"<unk>",
                                     "<s>",
                                     "</s>",
                                     "<0xE2>",
                                     "\xE2\x96\x81",
                                     "a",
                                     "b",
                                     "\xE2\x96\x81"
                                     "a",
                                     "ab",
                                     "\xE2\x96\x81"
                                     "ab"};
  Metadata metadata;
  metadata.set("tokenizer.ggml.model", MetadataValue::of_string("llama"));
  metadata.set("tokenizer.ggml.token_type", MetadataValue::of_int32s({2, 3, 3, 6, 1, 1, 1, 1, 1, 1}));
  metadata.set("tokenizer.ggml.scores", MetadataValue::of_float32s({0, 0, 0, 0, -9, -9, -9, -2, -1, -3}));
  metadata.set("tokenizer.ggml.tokens", MetadataValue::of_strings(std::move(tokens)));
  return metadata;
}

Tokenizer made(const Metadata& metadata) {
  auto tokenizer = Tokenizer::from_metadata(metadata);
  if (!tokenizer.ok()) throw std::runtime_error(tokenizer.error().message);
  return std::move(*tokenizer);
}

std::string error_of(const Metadata& metadata) {
  auto tokenizer = Tokenizer::from_metadata(metadata);
  return tokenizer.ok() ? "" : tokenizer.error().message;
}

std::vector<std::string> words(const Tokenizer& tokenizer, const Tokens& tokens) {
  std::vector<std::string> pieces;
  for (int32_t token : tokens) pieces.push_back(tokenizer.piece(token, true));
  return pieces;
}

TEST(TokenizerTest, MergesTheLowestRankFirstWithinWords) {
  Tokenizer tokenizer = made(tiny_bpe());
  EXPECT_EQ(words(tokenizer, tokenizer.encode("hello hello")), (std::vector<std::string>{"hello", " hello"}));
  EXPECT_EQ(words(tokenizer, tokenizer.encode("hellp")), (std::vector<std::string>{"hell", "p"}));
}

TEST(TokenizerTest, SentencePieceJoinsTheHighestScoreFirst) {
  Tokenizer tokenizer = made(tiny_spm());
  // "ab" (-1) is made before "_a" (-2), then "_ab".
  EXPECT_EQ(tokenizer.encode("ab"), (Tokens{9}));
  EXPECT_EQ(tokenizer.encode("aab"), (Tokens{7, 8}));
}

TEST(TokenizerTest, SentencePieceFallsBackToBytesAndThenToUnknown) {
  Tokenizer tokenizer = made(tiny_spm());
  EXPECT_EQ(tokenizer.encode("a\xE2\x82\xAC"), (Tokens{7, 3, 0, 0}));
}

TEST(TokenizerTest, SpacePrefixIsPutOnEncodingAndTakenOnDecoding) {
  Tokenizer tokenizer = made(tiny_spm());
  EXPECT_EQ(tokenizer.piece(9), " ab");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("ab ab", {.add_special = true})), "ab ab");
  EXPECT_EQ(tokenizer.encode("ab", {.add_special = true}), (Tokens{1, 9}));
  Metadata without = tiny_spm();
  without.set("tokenizer.ggml.add_space_prefix", MetadataValue::of_boolean(false));
  EXPECT_EQ(made(without).encode("ab"), (Tokens{8}));
}

TEST(TokenizerTest, ControlTokensAreLettersUnlessParsed) {
  Tokenizer tokenizer = made(tiny_bpe({{"<|im_end|>", 3}, {"<tool>", 4}}));
  int32_t end = tokenizer.find("<|im_end|>"), tool = tokenizer.find("<tool>");
  EXPECT_EQ(tokenizer.encode("<|im_end|>").size(), 10u);
  EXPECT_EQ(tokenizer.encode("<|im_end|>", {.parse_special = true}), Tokens{end});
  EXPECT_EQ(tokenizer.encode("<tool>"), Tokens{tool});
  EXPECT_TRUE(tokenizer.is_control(end));
  EXPECT_TRUE(tokenizer.ends_generation(end));
  EXPECT_EQ(tokenizer.decode(Tokens{end, tool}), "<tool>");
  EXPECT_EQ(tokenizer.decode(Tokens{end, tool}, true), "<|im_end|><tool>");
}

TEST(TokenizerTest, TheLongestSpecialTokenTakesItsPlacesFirst) {
  Tokenizer tokenizer = made(tiny_bpe({{"<a>", 4}, {"><b", 4}, {"<a><a>", 4}}));
  EXPECT_EQ(words(tokenizer, tokenizer.encode("<a><a><a>")), (std::vector<std::string>{"<a><a>", "<a>"}));
  // Of equal length, the lower number comes first.
  EXPECT_EQ(words(tokenizer, tokenizer.encode("<a><b")), (std::vector<std::string>{"<a>", "<", "b"}));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("<a><b<a><a>><b")), "<a><b<a><a>><b");
}

TEST(TokenizerTest, Phi3SwallowsWhiteSpaceAfterSpecialTokens) {
  Metadata metadata = tiny_bpe({{"<|user|>", 3}, {"</s>", 3}});
  metadata.set("general.name", MetadataValue::of_string("Phi-3 mini"));
  Tokenizer tokenizer = made(metadata);
  EXPECT_EQ(words(tokenizer, tokenizer.encode("<|user|>\n \nhello", {.parse_special = true})),
            (std::vector<std::string>{"<|user|>", "hello"}));
}

TEST(TokenizerTest, WrongUtf8BecomesReplacementCharactersInBytePairsAndComesBackFromSentencePiece) {
  Tokenizer bpe = made(tiny_bpe());
  EXPECT_EQ(bpe.decode(bpe.encode("a\xFF\xC3(\xED\xA0\x80"
                                  "b\xE2\x82")),
            "a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\xEF\xBF\xBD");
  Metadata metadata = tiny_spm();
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    tokens.emplace_back(text);
    types.push_back(6);
  }
  metadata.remove("tokenizer.ggml.scores");
  metadata.set("tokenizer.ggml.tokens", MetadataValue::of_strings(tokens));
  metadata.set("tokenizer.ggml.token_type", MetadataValue::of_int32s(types));
  metadata.set("tokenizer.ggml.add_space_prefix", MetadataValue::of_boolean(false));
  Tokenizer spm = made(metadata);
  std::string wrong =
      "a\xFF\xC3(\xED\xA0\x80"
      "b\xE2\x82";
  EXPECT_EQ(spm.decode(spm.encode(wrong)), wrong);
}

// The definition, word by word and pair by pair: quadratic, and easy to see to be right.
Tokens merge_plainly(const std::map<std::pair<std::string, std::string>, int>& ranks,
                     const Tokenizer& tokenizer, const std::string& word) {
  std::vector<std::string> parts;
  for (char c : word) parts.emplace_back(byte_level_character(uint8_t(c)));
  while (true) {
    size_t best = parts.size();
    int best_rank = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      auto found = ranks.find({parts[i], parts[i + 1]});
      if (found != ranks.end() && (best == parts.size() || found->second < best_rank)) {
        best = i;
        best_rank = found->second;
      }
    }
    if (best == parts.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + ptrdiff_t(best) + 1);
  }
  Tokens tokens;
  for (const std::string& part : parts) tokens.push_back(tokenizer.find(part));
  return tokens;
}

TEST(TokenizerTest, QueueOfMergesGivesWhatPlainMergingGives) {
  std::vector<std::string> merges = {"a b",   "b a", "ab a", "a a",    "aa b",
                                     "ba ab", "b b", "bb a", "aba ab", "c ab"};
  Tokenizer tokenizer = made(tiny_bpe({}, merges));
  std::map<std::pair<std::string, std::string>, int> ranks;
  for (size_t i = 0; i < merges.size(); ++i) {
    size_t space = merges[i].find(' ');
    ranks[{merges[i].substr(0, space), merges[i].substr(space + 1)}] = int(i);
  }
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string word(random() % 40 + 1, ' ');
    for (char& c : word) c = "abc"[random() % 3];
    EXPECT_EQ(tokenizer.encode(word), merge_plainly(ranks, tokenizer, word)) << word;
  }
}

TEST(TokenizerTest, OneVeryLongWordIsNoTrouble) {
  Tokenizer bpe = made(tiny_bpe()), spm = made(tiny_spm());
  std::string word;
  for (int i = 0; i < 200000; ++i) word += "hello";
  EXPECT_EQ(bpe.encode(word).size(), 200000u);
  EXPECT_EQ(spm.encode(std::string(400000, 'a')).size(), 400000u);
  EXPECT_EQ(bpe.decode(bpe.encode(std::string(300000, '\n'))), std::string(300000, '\n'));
}

TEST(TokenizerTest, TokensOutOfRangeHaveNoText) {
  Tokenizer tokenizer = made(tiny_bpe());
  EXPECT_EQ(tokenizer.piece(-1), "");
  EXPECT_EQ(tokenizer.decode(Tokens{-5, 1 << 30, 'h'}), "h");
  EXPECT_FALSE(tokenizer.is_control(1 << 30));
  EXPECT_EQ(tokenizer.bos(), -1);
}

TEST(TokenizerTest, ErrorNamesWhatIsWrongInTheMetadata) {
  struct Case {
    const char* part;
    std::function<void(Metadata&)> spoil;
  };
  const Case cases[] = {
      {"tokenizer.ggml.model", [](Metadata& m) { m.remove("tokenizer.ggml.model"); }},
      {"'rwkv'", [](Metadata& m) { m.set("tokenizer.ggml.model", MetadataValue::of_string("rwkv")); }},
      {"tokenizer.ggml.tokens", [](Metadata& m) { m.remove("tokenizer.ggml.tokens"); }},
      {"tokenizer.ggml.tokens",
       [](Metadata& m) { m.set("tokenizer.ggml.tokens", MetadataValue::of_uint32(3)); }},
      {"empty", [](Metadata& m) { m.set("tokenizer.ggml.tokens", MetadataValue::of_strings({})); }},
      {"token types", [](Metadata& m) { m.set("tokenizer.ggml.token_type", MetadataValue::of_int32s({1})); }},
      {"scores", [](Metadata& m) { m.set("tokenizer.ggml.scores", MetadataValue::of_float32s({1})); }},
      {"'nonsense'", [](Metadata& m) { m.set("tokenizer.ggml.pre", MetadataValue::of_string("nonsense")); }},
      {"tokenizer.ggml.merges", [](Metadata& m) { m.remove("tokenizer.ggml.merges"); }},
      {"'xyz'", [](Metadata& m) { m.set("tokenizer.ggml.merges", MetadataValue::of_strings({"xyz h"})); }},
      {"'hx'", [](Metadata& m) { m.set("tokenizer.ggml.merges", MetadataValue::of_strings({"h x"})); }},
      {"wanted two tokens",
       [](Metadata& m) { m.set("tokenizer.ggml.merges", MetadataValue::of_strings({""})); }},
      {"eos_token_id is 70000",
       [](Metadata& m) { m.set("tokenizer.ggml.eos_token_id", MetadataValue::of_uint32(70000)); }},
      {"bos_token_id",
       [](Metadata& m) { m.set("tokenizer.ggml.bos_token_id", MetadataValue::of_string("x")); }},
      {"same text 'he'",
       [](Metadata& m) {
         auto tokens = **m.strings("tokenizer.ggml.tokens");
         tokens.back() = "he";
         m.set("tokenizer.ggml.tokens", MetadataValue::of_strings(tokens));
       }},
  };
  for (const Case& one : cases) {
    Metadata metadata = tiny_bpe();
    one.spoil(metadata);
    EXPECT_NE(error_of(metadata).find(one.part), std::string::npos) << one.part << ": " << error_of(metadata);
  }
}

TEST(PreTokenizerTest, WordsTogetherAreTheText) {
  const std::string text =
      "It's 1234 caf\xC3\xA9s,\r\n\r\n  and\xE3\x80\x80"
      "more...   ";
  for (const PreTokenizerKind& kind : pre_tokenizer_kinds()) {
    auto pre_tokenizer = PreTokenizer::create(kind);
    ASSERT_TRUE(pre_tokenizer.ok()) << pre_tokenizer.error().message;
    PreTokenizer::Scratch scratch;
    std::string joined;
    for (std::string_view word : pre_tokenizer->split(text, scratch)) {
      EXPECT_FALSE(word.empty());
      joined += word;
    }
    EXPECT_EQ(joined, text) << kind.names.front();
    EXPECT_TRUE(pre_tokenizer->split("", scratch).empty());
  }
}

TEST(PreTokenizerTest, TheSameCharactersAreLettersOnEveryPcreVersion) {
  auto pre_tokenizer = PreTokenizer::create(*find_pre_tokenizer("gpt-2"));
  ASSERT_TRUE(pre_tokenizer.ok());
  PreTokenizer::Scratch scratch;
  // U+31350, a letter since Unicode 15, beside an old letter; U+180E, no white space since Unicode 6.3.
  EXPECT_EQ(pre_tokenizer->split("a\xF0\xB1\x8D\x90", scratch).size(), 1u);
  EXPECT_EQ(pre_tokenizer->split("\xE1\xA0\x8E.", scratch).size(), 1u);
}

}  // namespace
}  // namespace edgellm
