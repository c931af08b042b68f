// What an encoder sees of one text or two: the texts' tokens with the special ones around them ("[CLS] first
// [SEP] second [SEP]"), and the segment every token belongs to.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct EncodedText {
  std::vector<int32_t> ids;       // [tokens]
  std::vector<int32_t> segments;  // [tokens], 0: first text, 1: second (RoBERTa: all 0)
};

struct EncodedTextOptions {
  bool add_special = true;    // put the template's special tokens around the text
  bool parse_special = true;  // "[MASK]" in the text is the token of that name, not a bracket and letters
  // Byte-level BPE only: a text that does not begin with white space gets a space before it.
  bool add_prefix_space = false;
  size_t most_tokens = size_t(-1);  // special ones included; the texts give way, the special tokens stay
};

struct TokenTemplate {
  // One place: a text, or a special token.
  struct Step {
    enum class Kind { first_text, second_text, token };
    Kind kind = Kind::token;
    int32_t id = -1;  // of a token
    int32_t segment = 0;
  };
  std::vector<Step> single, pair;

  // Texts alone, without special tokens.
  static TokenTemplate plain();
  // "[CLS] A [SEP]" and "[CLS] A [SEP] B [SEP]", B in segment 1.
  static TokenTemplate bert(int32_t classification, int32_t separator);
  // "<s> A </s>" and "<s> A </s></s> B </s>", all in segment 0.
  static TokenTemplate roberta(int32_t classification, int32_t separator);

  // Tokens over the limit are taken from the end of the longer text, from the second when both are equal.
  EncodedText fill(std::vector<int32_t> text, const EncodedTextOptions& options) const;
  EncodedText fill(std::vector<int32_t> first, std::vector<int32_t> second,
                   const EncodedTextOptions& options) const;
};

// The post_processor of tokenizer.json (null when it has none): BertProcessing, RobertaProcessing or
// TemplateProcessing, alone or in a Sequence beside ByteLevel, which changes no token. Error for another
// kind, and for a special token outside the vocabulary.
Result<TokenTemplate> read_token_template(const nlohmann::json* post_processor, size_t n_vocabulary);

}  // namespace edgellm
