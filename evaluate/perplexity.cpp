#include "evaluate/perplexity.h"

#include <cmath>

#include "core/base/interrupt.h"
#include "evaluate/log_probabilities.h"

namespace edgellm {

void PerplexityMeter::add(double negative_log_likelihood) {
  sum_ += negative_log_likelihood;
  sum_of_squares_ += negative_log_likelihood * negative_log_likelihood;
  ++n_;
}

PerplexityResult PerplexityMeter::value() const {
  PerplexityResult result;
  result.n_scored = n_;
  if (n_ == 0) return result;
  double mean = sum_ / double(n_), variance = sum_of_squares_ / double(n_) - mean * mean;
  result.mean_negative_log_likelihood = mean;
  result.perplexity = std::exp(mean);
  if (n_ > 1) result.standard_error = result.perplexity * std::sqrt(std::max(variance, 0.0) / double(n_ - 1));
  return result;
}

Result<PerplexityResult> measure_perplexity(LanguageModel& model, const TextWindows& text,
                                            const Progress& progress) {
  PerplexityMeter meter;
  ProgressMeter progress_meter(progress, "perplexity", double(text.windows.size()));
  for (const auto& window : text.windows) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    EDGELLM_RETURN_IF_ERROR(
        model.evaluate(window, text.first_row, [&](size_t position, std::span<const float> row) {
          if (position + 1 < window.size())
            meter.add(log_normalizer(row).log_sum_exp - double(row[size_t(window[position + 1])]));
          return Status{};
        }));
    progress_meter.add(1);
  }
  progress_meter.finish();
  PerplexityResult result = meter.value();
  result.n_windows = text.windows.size();
  return result;
}

}  // namespace edgellm
