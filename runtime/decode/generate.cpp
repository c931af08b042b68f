#include "runtime/decode/generate.h"

#include <fmt/format.h>

#include "core/base/interrupt.h"
#include "core/base/progress.h"
#include "runtime/decode/text_stream.h"

namespace edgellm {

std::string_view to_string(StopReason reason) {
  switch (reason) {
    case StopReason::end_of_text:
      return "end of text";
    case StopReason::max_tokens:
      return "token limit";
    case StopReason::context_full:
      return "context full";
    case StopReason::interrupted:
      return "interrupted";
  }
  return "";
}

Result<Generation> generate(Session& session, const Tokenizer& tokenizer, Sampler& sampler,
                            std::span<const Token> prompt, const GenerateOptions& options,
                            const PieceSink& on_piece) {
  if (prompt.empty()) return Error{"generate: the prompt is empty"};
  if (prompt.size() > session.n_context())
    return Error{fmt::format("generate: the prompt of {} tokens does not fit the context of {}",
                             prompt.size(), session.n_context())};
  Generation made;
  TextStream stream;
  auto give = [&](std::string piece) {
    if (piece.empty()) return;
    made.text += piece;
    if (on_piece) on_piece(piece);
  };
  double started = monotonic_seconds(), first = 0;
  prompt = prompt.subspan(session.keep_shared(prompt));
  made.n_prompt_tokens = prompt.size();
  Result<std::span<const float>> logits = session.feed(prompt);
  for (;;) {
    if (interrupt_requested()) {
      made.reason = StopReason::interrupted;
      break;
    }
    if (!logits.ok()) return logits.error();
    Token token = sampler.sample(*logits, session.tokens());
    if (first == 0) first = monotonic_seconds();
    if (tokenizer.ends_generation(token) && !options.ignore_end) {
      made.reason = StopReason::end_of_text;
      break;
    }
    made.tokens.push_back(token);
    give(stream.add(tokenizer.piece(token)));
    if (options.max_tokens && made.tokens.size() >= options.max_tokens) {
      made.reason = StopReason::max_tokens;
      break;
    }
    if (session.n_free() == 0) {
      made.reason = StopReason::context_full;
      break;
    }
    logits = session.feed({&token, 1});
  }
  give(stream.finish());
  double ended = monotonic_seconds();
  made.prompt_seconds = (first > 0 ? first : ended) - started;
  made.generate_seconds = first > 0 ? ended - first : 0;
  return made;
}

}  // namespace edgellm
