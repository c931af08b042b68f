// How far a model's next-token distribution is from a reference model's on the same text.
#pragma once

#include <vector>

#include "core/base/progress.h"
#include "core/language_model.h"
#include "evaluate/perplexity.h"
#include "evaluate/reference_logits.h"

namespace edgellm {

struct DivergenceResult {
  double mean_kl = 0;         // nats; KL(reference || model), mean over scored positions
  double standard_error = 0;  // of mean_kl
  double median_kl = 0, percentile_90_kl = 0, percentile_99_kl = 0, largest_kl = 0;
  double same_top = 0;  // share of positions whose most likely token is the reference's
  size_t n_scored = 0;
  PerplexityResult perplexity;
};

class DivergenceMeter {
 public:
  // reference: log-probabilities [n_vocabulary]; logits: the model's, [n_vocabulary]; next: the token that
  // follows.
  void add(std::span<const float> reference, std::span<const float> logits, Token next);
  DivergenceResult value() const;

 private:
  std::vector<float> kl_;
  size_t n_same_top_ = 0;
  PerplexityMeter perplexity_;
};

Result<DivergenceResult> measure_divergence(LanguageModel& model, const TextWindows& text,
                                            const ReferenceLogits& reference, const Progress& progress = {});

}  // namespace edgellm
