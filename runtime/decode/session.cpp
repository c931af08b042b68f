#include "runtime/decode/session.h"

#include <algorithm>

namespace edgellm {

size_t chosen_context(const Hyperparameters& hyperparameters, size_t n_context) {
  constexpr size_t kMostByDefault = 4096;
  if (n_context) return n_context;
  return std::min<size_t>(
      hyperparameters.n_context_trained ? hyperparameters.n_context_trained : kMostByDefault, kMostByDefault);
}

Result<Session> Session::create(std::shared_ptr<Decoder> decoder, const SessionOptions& options) {
  const Hyperparameters& h = decoder->hyperparameters();
  EDGELLM_ASSIGN_OR_RETURN(
      KvCache cache,
      KvCache::create(h, options.kv_type, chosen_context(h, options.n_context), decoder->options().n_batch));
  return Session(std::move(decoder), std::move(cache));
}

Result<std::span<const float>> Session::feed(std::span<const Token> tokens) {
  size_t before = cache_.n_positions();
  Result<std::span<const float>> logits = decoder_->logits_after(tokens, cache_);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.begin() + ptrdiff_t(cache_.n_positions() - before));
  return logits;
}

size_t Session::keep_shared(std::span<const Token> text) {
  size_t n_same = 0;
  while (n_same < tokens_.size() && n_same + 1 < text.size() && tokens_[n_same] == text[n_same]) ++n_same;
  rewind(n_same);
  return tokens_.size();
}

void Session::rewind(size_t n_tokens) {
  cache_.truncate(std::min(n_tokens, tokens_.size()));
  tokens_.resize(cache_.n_positions());
}

}  // namespace edgellm
