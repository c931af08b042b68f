// Perplexity: exp of the mean negative log-likelihood of the scored tokens.
#pragma once

#include "core/base/progress.h"
#include "core/language_model.h"
#include "evaluate/text_windows.h"

namespace edgellm {

struct PerplexityResult {
  double perplexity = 0;
  double standard_error = 0;                // of the perplexity, taking the scored tokens as independent
  double mean_negative_log_likelihood = 0;  // nats per token
  size_t n_windows = 0;
  size_t n_scored = 0;
};

// Adds up scored tokens; value() may be read at any time.
class PerplexityMeter {
 public:
  void add(double negative_log_likelihood);
  PerplexityResult value() const;

 private:
  double sum_ = 0, sum_of_squares_ = 0;
  size_t n_ = 0;
};

Result<PerplexityResult> measure_perplexity(LanguageModel& model, const TextWindows& text,
                                            const Progress& progress = {});

}  // namespace edgellm
