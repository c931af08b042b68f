#include "runtime/decode/answer.h"

#include "core/base/progress.h"

namespace edgellm {

Answer::Answer(const Tokenizer& tokenizer, Sampler& sampler, const GenerateOptions& options,
               PieceSink on_piece)
    : tokenizer_(tokenizer),
      sampler_(sampler),
      options_(options),
      on_piece_(std::move(on_piece)),
      started_(monotonic_seconds()) {}

void Answer::give(std::string piece) {
  if (piece.empty()) return;
  made_.text += piece;
  if (on_piece_) on_piece_(piece);
}

std::optional<Token> Answer::next(std::span<const float> logits, std::span<const Token> context,
                                  size_t n_free) {
  Token token = sampler_.sample(logits, context);
  if (first_ == 0) first_ = monotonic_seconds();
  if (tokenizer_.ends_generation(token) && !options_.ignore_end) {
    made_.reason = StopReason::end_of_text;
    return std::nullopt;
  }
  made_.tokens.push_back(token);
  give(stream_.add(tokenizer_.piece(token)));
  if (options_.max_tokens && made_.tokens.size() >= options_.max_tokens) {
    made_.reason = StopReason::max_tokens;
    return std::nullopt;
  }
  if (n_free == 0) {
    made_.reason = StopReason::context_full;
    return std::nullopt;
  }
  return token;
}

Generation Answer::finish(size_t n_prompt_tokens) {
  give(stream_.finish());
  double ended = monotonic_seconds();
  made_.n_prompt_tokens = n_prompt_tokens;
  made_.prompt_seconds = (first_ > 0 ? first_ : ended) - started_;
  made_.generate_seconds = first_ > 0 ? ended - first_ : 0;
  return std::move(made_);
}

}  // namespace edgellm
