#include <array>

#include "core/text/tokenizer.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

// A byte-level vocabulary of the printable letters that stand for themselves, and a few merges.
edgellm::Tokenizer make_tokenizer(const std::string& pre_tokenizer) {
  std::vector<std::string> tokens = {"<s>", "</s>"};
  std::vector<int32_t> kinds = {3, 3};  // control
  for (char c = '!'; c <= '~'; ++c) tokens.emplace_back(1, c);
  for (const char* word : {"th", "the", "in", "\xc4\xa0", "\xc4\xa0t", "\xc4\x8a"}) tokens.emplace_back(word);
  kinds.resize(tokens.size(), 1);
  edgellm::Metadata metadata;
  metadata.set("tokenizer.ggml.model", edgellm::MetadataValue::of_string("gpt2"));
  metadata.set("tokenizer.ggml.pre", edgellm::MetadataValue::of_string(pre_tokenizer));
  metadata.set("tokenizer.ggml.tokens", edgellm::MetadataValue::of_strings(tokens));
  metadata.set("tokenizer.ggml.token_type", edgellm::MetadataValue::of_int32s(kinds));
  metadata.set("tokenizer.ggml.merges",
               edgellm::MetadataValue::of_strings({"t h", "th e", "i n", "\xc4\xa0 t"}));
  metadata.set("tokenizer.ggml.bos_token_id", edgellm::MetadataValue::of_uint32(0));
  metadata.set("tokenizer.ggml.eos_token_id", edgellm::MetadataValue::of_uint32(1));
  auto tokenizer = edgellm::Tokenizer::from_metadata(metadata);
  if (!tokenizer.ok()) __builtin_trap();
  return *std::move(tokenizer);
}

}  // namespace

// Any bytes are encoded, by every way of cutting words.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  static const std::array kTokenizers = {make_tokenizer("gpt-2"), make_tokenizer("llama-bpe"),
                                         make_tokenizer("qwen2"), make_tokenizer("smollm")};
  const std::string_view text = edgellm::as_text(data, n_bytes);
  for (const auto& tokenizer : kTokenizers) {
    for (const bool parse_special : {false, true})
      tokenizer.decode(tokenizer.encode(text, {false, parse_special}), true);
  }
  return 0;
}
