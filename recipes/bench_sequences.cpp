#include "recipes/bench_sequences.h"

#include "core/base/progress.h"

namespace edgellm {

Result<double> time_sequences(Decoder& decoder, KvType kv, size_t n_sequences, size_t n_tokens) {
  const Hyperparameters& h = decoder.hyperparameters();
  auto token = [&](size_t sequence, size_t i) {
    return Token((sequence * 104729 + i * 7919 + 1000) % h.n_vocabulary);
  };
  std::vector<KvCache> caches;
  for (size_t s = 0; s < n_sequences; ++s) {
    EDGELLM_ASSIGN_OR_RETURN(
        KvCache cache, KvCache::create(h, kv, kSequencePromptTokens + n_tokens, decoder.options().n_batch));
    caches.push_back(std::move(cache));
    std::vector<Token> prompt;
    for (size_t i = 0; i < kSequencePromptTokens; ++i) prompt.push_back(token(s, i));
    EDGELLM_RETURN_IF_ERROR(decoder.evaluate(prompt, caches[s], prompt.size(), {}));
  }
  std::vector<SequenceStep> steps(n_sequences);
  double started = monotonic_seconds();
  for (size_t i = 0; i < n_tokens; ++i) {
    for (size_t s = 0; s < n_sequences; ++s) steps[s] = {token(s, kSequencePromptTokens + i), &caches[s]};
    EDGELLM_RETURN_IF_ERROR(
        decoder.evaluate_together(steps, [](size_t, std::span<const float>) { return Status(); }));
  }
  return double(n_sequences * n_tokens) / (monotonic_seconds() - started);
}

}  // namespace edgellm
