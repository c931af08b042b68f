// For tests of generation: a tokenizer for the vocabulary of tiny_model.h.
#pragma once

#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "core/text/tokenizer.h"

namespace edgellm::tiny {

inline constexpr uint32_t kVocabulary = 96;
inline constexpr Token kEnd = 95;

// One token for almost every printable ASCII character, one merge, and an end of text.
inline Tokenizer ascii_tokenizer() {
  std::vector<std::string> tokens;
  for (uint32_t i = 0; i < kVocabulary - 1; ++i)
    tokens.push_back(i == 0 ? "\xC4\xA0" : std::string(1, char(' ' + i)));
  tokens.back() = "ab";
  tokens.push_back("<|end|>");
  std::vector<int32_t> types(kVocabulary, 1);
  types[kEnd] = 3;
  Metadata m;
  m.set("tokenizer.ggml.model", MetadataValue::of_string("gpt2"));
  m.set("tokenizer.ggml.pre", MetadataValue::of_string("gpt-2"));
  m.set("tokenizer.ggml.tokens", MetadataValue::of_strings(tokens));
  m.set("tokenizer.ggml.token_type", MetadataValue::of_int32s(types));
  m.set("tokenizer.ggml.merges", MetadataValue::of_strings({"a b"}));
  m.set("tokenizer.ggml.eos_token_id", MetadataValue::of_uint32(kEnd));
  auto tokenizer = Tokenizer::from_metadata(m);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

}  // namespace edgellm::tiny
