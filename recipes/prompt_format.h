// From what a user says to the tokens a model is asked with: its chat template, BOS where it wants one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/language_model.h"
#include "core/model_file/gguf.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"

namespace edgellm {

class PromptFormat {
 public:
  // The tokenizer must outlive it. Error for a chat template that cannot be read.
  static Result<PromptFormat> from_file(const GgufFile& file, const Tokenizer& tokenizer);

  // Of a model without a chat template.
  explicit PromptFormat(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  bool has_template() const { return template_.has_value(); }
  // Tokens of a text as it stands.
  std::vector<Token> tokens_of(std::string_view text) const;
  // The messages in the model's chat format, ready for the answer, as text and as tokens. Only where
  // has_template().
  Result<std::string> text_of(const std::vector<ChatMessage>& messages) const;
  Result<std::vector<Token>> tokens_of(const std::vector<ChatMessage>& messages) const;
  // The text of messages that end with an answer, with nothing after it and no BOS before it: it may stand
  // within a text. Only where has_template().
  Result<std::string> finished_text_of(const std::vector<ChatMessage>& messages) const;

 private:
  Result<std::string> render(const std::vector<ChatMessage>& messages, bool add_generation_prompt) const;

  const Tokenizer* tokenizer_;
  std::optional<ChatTemplate> template_;
};

}  // namespace edgellm
