#include "runtime/decode/generate.h"

#include <fmt/format.h>

#include "core/base/interrupt.h"
#include "runtime/decode/answer.h"

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
  Answer answer(tokenizer, sampler, options, on_piece);
  prompt = prompt.subspan(session.keep_shared(prompt));
  Result<std::span<const float>> logits = session.feed(prompt);
  while (!interrupt_requested()) {
    if (!logits.ok()) return logits.error();
    auto token = answer.next(*logits, session.tokens(), session.n_free());
    if (!token) return answer.finish(prompt.size());
    logits = session.feed({&*token, 1});
  }
  answer.interrupt();
  return answer.finish(prompt.size());
}

}  // namespace edgellm
