#include "recipes/fit_effort.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

namespace edgellm {

Result<FitEffort> fit_effort(std::string_view name) {
  FitEffort effort;
  if (name == "fast") return effort;
  effort.codebooks = true;
  effort.n_generations = 6;
  effort.n_offspring = 8;
  effort.n_compensation_windows = 64;
  if (name == "balanced") return effort;
  effort.n_layer_epochs = kFitLayerEpochs;
  effort.n_training_epochs = 1;
  effort.n_generations = 10;
  effort.patience = 2;
  effort.least_harm_to_leave_out = 0;
  if (name == "best") return effort;
  return Error{fmt::format("unknown effort {}: fast, balanced or best", name)};
}

FitEffort effort_for_size(FitEffort effort, uint64_t n_model_bytes) {
  if (n_model_bytes <= kLargeModelBytes || effort.n_compensation_windows) return effort;
  effort.n_window_tokens = 128;
  effort.n_error_rows = 64;
  effort.n_generations = 1;
  effort.n_offspring = 4;
  effort.n_presets = 1;
  effort.least_harm_to_leave_out = std::numeric_limits<double>::infinity();
  return effort;
}

size_t n_drawn_windows(const FitEffort& effort, uint64_t n_model_bytes) {
  // Large models get less text: drawing costs them minutes.
  const size_t n = n_model_bytes > kLargeModelBytes ? 24 : 48;
  if (!effort.n_compensation_windows) return n;
  return std::max(n, effort.n_compensation_windows + effort.n_verify_windows);
}

}  // namespace edgellm
