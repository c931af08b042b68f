// One answer in the making: from logits to the next token, and to text.
#pragma once

#include <optional>

#include "runtime/decode/generate.h"
#include "runtime/decode/text_stream.h"

namespace edgellm {

class Answer {
 public:
  // All references must outlive the answer; on_piece may be empty.
  Answer(const Tokenizer& tokenizer, Sampler& sampler, const GenerateOptions& options, PieceSink on_piece);

  // Chooses a token by the logits after `context` and takes it into the answer. Returns it when it is to be
  // computed next; nothing when the answer has ended, `n_free` being the positions the context has left.
  std::optional<Token> next(std::span<const float> logits, std::span<const Token> context, size_t n_free);
  void interrupt() { made_.reason = StopReason::interrupted; }
  // What was made, with its last piece of text; the answer is over.
  Generation finish(size_t n_prompt_tokens);

 private:
  void give(std::string piece);

  const Tokenizer& tokenizer_;
  Sampler& sampler_;
  GenerateOptions options_;
  PieceSink on_piece_;
  TextStream stream_;
  Generation made_;
  double started_, first_ = 0;
};

}  // namespace edgellm
