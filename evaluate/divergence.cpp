#include "evaluate/divergence.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "core/base/interrupt.h"
#include "evaluate/log_probabilities.h"

namespace edgellm {

void DivergenceMeter::add(std::span<const float> reference, std::span<const float> logits, Token next) {
  LogNormalizer normalizer = log_normalizer(logits);
  // Rounding of the stored reference can take an exact match a little below zero.
  double kl = std::max(0.0, kl_divergence(reference, logits, normalizer.log_sum_exp));
  kl_.push_back(float(kl));
  size_t top = size_t(std::max_element(reference.begin(), reference.end()) - reference.begin());
  // Several entries may share the largest stored step; the model agrees when its top is one of them.
  if (normalizer.top == top || reference[normalizer.top] == reference[top]) ++n_same_top_;
  perplexity_.add(normalizer.log_sum_exp - double(logits[size_t(next)]));
}

DivergenceResult DivergenceMeter::value() const {
  DivergenceResult result;
  result.n_scored = kl_.size();
  result.perplexity = perplexity_.value();
  if (kl_.empty()) return result;
  double sum = 0, sum_of_squares = 0;
  for (float kl : kl_) {
    sum += kl;
    sum_of_squares += double(kl) * kl;
  }
  auto n = double(kl_.size());
  result.mean_kl = sum / n;
  if (n > 1)
    result.standard_error =
        std::sqrt(std::max(0.0, sum_of_squares / n - result.mean_kl * result.mean_kl) / (n - 1));
  std::vector<float> sorted = kl_;
  std::sort(sorted.begin(), sorted.end());
  auto percentile = [&](double q) {
    double at = q * (n - 1);
    auto below = size_t(at);
    size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - double(below)) * (sorted[above] - sorted[below]);
  };
  result.median_kl = percentile(0.5);
  result.percentile_90_kl = percentile(0.9);
  result.percentile_99_kl = percentile(0.99);
  result.largest_kl = sorted.back();
  result.same_top = double(n_same_top_) / n;
  return result;
}

Result<DivergenceResult> measure_divergence(LanguageModel& model, const TextWindows& text,
                                            const ReferenceLogits& reference, const Progress& progress) {
  if (model.n_vocabulary() != reference.n_vocabulary())
    return Error{fmt::format("the model has {} tokens in its vocabulary, the reference {}",
                             model.n_vocabulary(), reference.n_vocabulary())};
  DivergenceMeter meter;
  std::vector<float> expected(reference.n_vocabulary());
  ProgressMeter progress_meter(progress, "KL to the reference", double(text.windows.size()));
  for (size_t w = 0; w < text.windows.size(); ++w) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    const auto& window = text.windows[w];
    EDGELLM_RETURN_IF_ERROR(
        model.evaluate(window, text.first_row, [&](size_t position, std::span<const float> row) {
          if (position + 1 < window.size()) {
            reference.read_row(w, position - text.first_row, expected);
            meter.add(expected, row, window[position + 1]);
          }
          return Status{};
        }));
    reference.give_back(w);
    progress_meter.add(1);
  }
  progress_meter.finish();
  DivergenceResult result = meter.value();
  result.perplexity.n_windows = text.windows.size();
  return result;
}

}  // namespace edgellm
