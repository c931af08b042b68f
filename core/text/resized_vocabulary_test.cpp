#include "core/text/resized_vocabulary.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <random>

#include "core/base/test_folders.h"
#include "core/model_file/gguf.h"
#include "core/text/byte_level.h"
#include "core/text/tokenizer.h"

namespace edgellm {
namespace {

constexpr size_t kBytes = 256;

// Three special tokens first, then bytes, then what the merges make, and a token that no merge makes.
Metadata source() {
  std::vector<std::string> tokens = {"<|start|>", "<|stop|>", "<|image|>"};
  std::vector<int32_t> types = {3, 3, 4};
  for (size_t byte = 0; byte < kBytes; ++byte) tokens.emplace_back(byte_level_character(uint8_t(byte)));
  std::vector<std::string> merges = {"h e", "l l", "he ll", "hell o", "w o", "wo r", "h ell"};
  for (const char* token : {"he", "ll", "hell", "hello", "wo", "wor", "ell", "whole"})
    tokens.emplace_back(token);
  types.resize(tokens.size(), 1);
  Metadata m;
  m.set("general.name", MetadataValue::of_string("Source"));
  m.set("tokenizer.ggml.model", MetadataValue::of_string("gpt2"));
  m.set("tokenizer.ggml.pre", MetadataValue::of_string("gpt-2"));
  m.set("tokenizer.ggml.tokens", MetadataValue::of_strings(std::move(tokens)));
  m.set("tokenizer.ggml.token_type", MetadataValue::of_int32s(types));
  m.set("tokenizer.ggml.merges", MetadataValue::of_strings(std::move(merges)));
  m.set("tokenizer.ggml.bos_token_id", MetadataValue::of_uint32(0));
  m.set("tokenizer.ggml.eos_token_id", MetadataValue::of_uint32(1));
  m.set("tokenizer.chat_template", MetadataValue::of_string("{{ 'x' }}"));
  return m;
}

Tokenizer made(const Metadata& metadata) {
  auto tokenizer = Tokenizer::from_metadata(metadata);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

std::vector<std::string> pieces(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::string> all;
  for (int32_t token : tokenizer.encode(text)) all.push_back(tokenizer.piece(token));
  return all;
}

TEST(ResizeVocabulary, ASmallerOneKeepsItsNumbersAndIsPaddedWithUnusedTokens) {
  Metadata from = source();
  size_t n = *n_used_tokens(from);
  auto resized = resize_vocabulary(from, n + 40);
  ASSERT_TRUE(resized.ok()) << resized.error().message;
  Tokenizer before = made(from), after = made(*resized);
  EXPECT_EQ(after.n_vocabulary(), n + 40);
  EXPECT_EQ(*n_used_tokens(*resized), n);
  EXPECT_EQ(after.encode("hello world"), before.encode("hello world"));
  EXPECT_EQ(after.bos(), before.bos());
  EXPECT_EQ(resized->string_or("tokenizer.chat_template", ""), "{{ 'x' }}");
  EXPECT_FALSE(resized->contains("general.name"));
}

TEST(ResizeVocabulary, PaddingDoesNotCountWhenItIsFittedAgain) {
  auto padded = resize_vocabulary(source(), 1000);
  ASSERT_TRUE(padded.ok());
  auto again = resize_vocabulary(*padded, *n_used_tokens(source()));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(made(*again).encode("hello"), made(source()).encode("hello"));
}

TEST(ResizeVocabulary, ALargerOneKeepsBytesFirstMergesAndSpecialTokensLast) {
  auto cut = resize_vocabulary(source(), kBytes + 3 + 3);  // room for what three merges make
  ASSERT_TRUE(cut.ok()) << cut.error().message;
  EXPECT_EQ(**cut->strings("tokenizer.ggml.merges"), (std::vector<std::string>{"h e", "l l", "he ll"}));
  const auto& tokens = **cut->strings("tokenizer.ggml.tokens");
  EXPECT_EQ(std::vector<std::string>(tokens.end() - 6, tokens.end()),
            (std::vector<std::string>{"he", "ll", "hell", "<|start|>", "<|stop|>", "<|image|>"}));
  Tokenizer tokenizer = made(*cut);
  EXPECT_EQ(pieces(tokenizer, "hello"), (std::vector<std::string>{"hell", "o"}));
  EXPECT_EQ(tokenizer.bos(), int32_t(kBytes) + 3);
  EXPECT_EQ(tokenizer.eos(), int32_t(kBytes) + 4);
  EXPECT_EQ(tokenizer.piece(tokenizer.eos(), true), "<|stop|>");
}

TEST(ResizeVocabulary, AMergeIntoATokenThatIsKeptIsKeptToo) {
  // "ell" finds no room, so "h ell" has a part that is not kept.
  auto cut = resize_vocabulary(source(), kBytes + 3 + 6);
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ((*cut->strings("tokenizer.ggml.merges"))->size(), 6u);
  auto whole = resize_vocabulary(source(), kBytes + 3 + 7);
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(made(*whole).n_vocabulary(), kBytes + 3 + 7);
}

TEST(ResizeVocabulary, EveryTextComesBackFromACutOne) {
  std::mt19937 random(3);
  for (size_t n : {kBytes + 3, kBytes + 5, kBytes + 8}) {
    auto cut = resize_vocabulary(source(), n);
    ASSERT_TRUE(cut.ok()) << cut.error().message;
    Tokenizer tokenizer = made(*cut);
    for (int i = 0; i < 50; ++i) {
      std::string text;
      for (int c = 0; c < 40; ++c) text += "helowr \n\xC3\xA9"[random() % 8];
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
    }
    EXPECT_EQ(tokenizer.decode(tokenizer.encode("h\xC3\xA9llo \xE4\xBD\xA0")), "h\xC3\xA9llo \xE4\xBD\xA0");
  }
}

TEST(ResizeVocabulary, TooFewTokensForBytesAndSpecialOnesIsAnError) {
  auto cut = resize_vocabulary(source(), kBytes + 2);
  ASSERT_FALSE(cut.ok());
  EXPECT_NE(cut.error().message.find("256 bytes and 3 special tokens"), std::string::npos)
      << cut.error().message;
}

TEST(ResizeVocabulary, AnotherKindIsPaddedButNotCut) {
  Metadata m;
  m.set("tokenizer.ggml.model", MetadataValue::of_string("llama"));
  m.set("tokenizer.ggml.tokens", MetadataValue::of_strings({"<unk>", "<s>", "</s>", "a", "b", "ab"}));
  m.set("tokenizer.ggml.token_type", MetadataValue::of_int32s({2, 3, 3, 1, 1, 1}));
  m.set("tokenizer.ggml.scores", MetadataValue::of_float32s({0, 0, 0, -2, -2, -1}));
  auto padded = resize_vocabulary(m, 8);
  ASSERT_TRUE(padded.ok()) << padded.error().message;
  EXPECT_EQ((*padded->reals("tokenizer.ggml.scores")).size(), 8u);
  auto cut = resize_vocabulary(m, 5);
  ASSERT_FALSE(cut.ok());
  EXPECT_NE(cut.error().message.find("'llama'"), std::string::npos) << cut.error().message;
}

TEST(ResizeVocabulary, ARealTokenizerCutToAFifthStillReadsEveryText) {
  std::filesystem::path model = models_folder() / "Qwen2.5-Coder-0.5B-Instruct.Q4.gguf";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << "no model at " << model;
  auto file = GgufFile::open(model);
  ASSERT_TRUE(file.ok()) << file.error().message;
  auto cut = resize_vocabulary(file->metadata(), 32000);
  ASSERT_TRUE(cut.ok()) << cut.error().message;
  Tokenizer whole = made(file->metadata()), smaller = made(*cut);
  const std::string text =
      "The quick brown fox: f(x) = 2**x;\n\tif (a != b) { return \"\xC3\xBC\"; }\n\xE4\xBD\xA0\xE5\xA5\xBD "
      "12345";
  EXPECT_EQ(smaller.n_vocabulary(), 32000u);
  EXPECT_EQ(smaller.decode(smaller.encode(text)), text);
  EXPECT_GE(smaller.encode(text).size(), whole.encode(text).size());
  EXPECT_LT(smaller.encode(text).size(), text.size() * 2 / 3);
  EXPECT_EQ(smaller.piece(smaller.eos(), true), whole.piece(whole.eos(), true));
}

}  // namespace
}  // namespace edgellm
