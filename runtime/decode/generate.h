// Generation: prompt in, pieces of text out, until the model ends, a limit is reached or somebody interrupts.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/text/tokenizer.h"
#include "runtime/decode/sampler.h"
#include "runtime/decode/session.h"

namespace edgellm {

struct GenerateOptions {
  size_t max_tokens = 0;    // 0: until the context is full
  bool ignore_end = false;  // go on after an end-of-generation token
};

enum class StopReason { end_of_text, max_tokens, context_full, interrupted };
std::string_view to_string(StopReason reason);

struct Generation {
  std::string text;           // valid UTF-8
  std::vector<Token> tokens;  // those of the text; the end token is not among them
  StopReason reason = StopReason::end_of_text;
  size_t n_prompt_tokens = 0;  // computed, without those the session already held
  double prompt_seconds = 0;   // until the first token was chosen
  double generate_seconds = 0;
};

// Takes one or more whole characters of the answer.
using PieceSink = std::function<void(std::string_view piece)>;

// prompt: the whole text so far; what the session already holds of it is not computed again. Afterwards the
// session holds the prompt and the answer, but for the last token. Error when the prompt is empty or longer
// than the context.
Result<Generation> generate(Session& session, const Tokenizer& tokenizer, Sampler& sampler,
                            std::span<const Token> prompt, const GenerateOptions& options,
                            const PieceSink& on_piece);

}  // namespace edgellm
