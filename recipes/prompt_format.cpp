#include "recipes/prompt_format.h"

namespace edgellm {

Result<PromptFormat> PromptFormat::from_file(const GgufFile& file, const Tokenizer& tokenizer) {
  PromptFormat format(tokenizer);
  if (file.metadata().contains("tokenizer.chat_template")) {
    EDGELLM_ASSIGN_OR_RETURN(ChatTemplate chat_template, ChatTemplate::from_metadata(file.metadata()));
    format.template_.emplace(std::move(chat_template));
  }
  return format;
}

std::vector<Token> PromptFormat::tokens_of(std::string_view text) const {
  std::vector<Token> tokens = tokenizer_->encode(text, {.add_special = false, .parse_special = true});
  bool wants_bos = tokenizer_->adds_bos() && tokenizer_->bos() >= 0;
  if (wants_bos && (tokens.empty() || tokens.front() != tokenizer_->bos()))
    tokens.insert(tokens.begin(), tokenizer_->bos());
  return tokens;
}

Result<std::string> PromptFormat::render(const std::vector<ChatMessage>& messages,
                                         bool add_generation_prompt) const {
  auto piece = [&](Token token) { return token < 0 ? std::string() : tokenizer_->piece(token, true); };
  ChatTemplate::Options options;
  options.add_generation_prompt = add_generation_prompt;
  options.bos_token = piece(tokenizer_->bos());
  options.eos_token = piece(tokenizer_->eos());
  return template_->render(messages, options);
}

Result<std::string> PromptFormat::text_of(const std::vector<ChatMessage>& messages) const {
  return render(messages, true);
}

Result<std::string> PromptFormat::finished_text_of(const std::vector<ChatMessage>& messages) const {
  EDGELLM_ASSIGN_OR_RETURN(std::string text, render(messages, false));
  if (tokenizer_->bos() >= 0)
    if (const std::string bos = tokenizer_->piece(tokenizer_->bos(), true); text.starts_with(bos))
      text.erase(0, bos.size());
  return text;
}

Result<std::vector<Token>> PromptFormat::tokens_of(const std::vector<ChatMessage>& messages) const {
  EDGELLM_ASSIGN_OR_RETURN(std::string text, text_of(messages));
  return tokens_of(text);
}

}  // namespace edgellm
