// What `run` and `chat` share: a model ready to generate, its tokenizer and its chat template.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/cli/kv_option.h"
#include "core/base/result.h"
#include "core/model_file/gguf.h"
#include "core/text/tokenizer.h"
#include "recipes/prompt_format.h"
#include "runtime/decode/generate.h"

namespace edgellm {

struct ConversationOptions {
  std::string model, system, kv = kAutoKv;
  size_t n_context = 0, n_threads = 0, max_tokens = 0;
  bool ignore_end = false;
  SamplerOptions sampler;
};

// --temperature, --context and the others that the options above hold; MODEL too.
void add_conversation_options(CLI::App& command, ConversationOptions& options);

class Conversation {
 public:
  static Result<Conversation> open(const ConversationOptions& options);

  const PromptFormat& format() const { return *format_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  std::string_view kv() const { return options_.kv; }  // the type taken, not "auto"
  Session& session() { return *session_; }
  const GgufFile& file() const { return *file_; }

  // Streams the answer to standard output.
  Result<Generation> answer(std::span<const Token> prompt);

 private:
  Conversation() = default;
  ConversationOptions options_;
  std::shared_ptr<const GgufFile> file_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<PromptFormat> format_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Sampler> sampler_;
};

// "prompt 12 tokens, 90.1 tokens/s; answer 40 tokens, 30.2 tokens/s; end of text"
std::string timings_text(const Generation& generation);

}  // namespace edgellm
