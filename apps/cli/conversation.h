// What `run` and `chat` share: a model ready to generate, its tokenizer and its chat template.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/model_file/gguf.h"
#include "core/text/chat_template.h"
#include "core/text/tokenizer.h"
#include "runtime/decode/generate.h"

namespace edgellm {

struct ConversationOptions {
  std::string model, system, kv = "f16";
  size_t n_context = 0, n_threads = 0, max_tokens = 0;
  bool ignore_end = false;
  SamplerOptions sampler;
};

// --temperature, --context and the others that the options above hold; MODEL too.
void add_conversation_options(CLI::App& command, ConversationOptions& options);

class Conversation {
 public:
  static Result<Conversation> open(const ConversationOptions& options);

  bool has_template() const { return template_.has_value(); }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  Session& session() { return *session_; }
  const GgufFile& file() const { return *file_; }

  // Tokens of a text as it stands, with BOS where the model wants one.
  std::vector<Token> tokens_of(std::string_view text) const;
  // Tokens of the messages in the model's chat format, ready for the answer.
  Result<std::vector<Token>> tokens_of(const std::vector<ChatMessage>& messages) const;
  // Streams the answer to standard output.
  Result<Generation> answer(std::span<const Token> prompt);

 private:
  Conversation() = default;
  ConversationOptions options_;
  std::shared_ptr<const GgufFile> file_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<ChatTemplate> template_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Sampler> sampler_;
};

// "prompt 12 tokens, 90.1 tokens/s; answer 40 tokens, 30.2 tokens/s; end of text"
std::string timings_text(const Generation& generation);

}  // namespace edgellm
