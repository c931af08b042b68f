#include "recipes/fit_pace.h"

#include <algorithm>
#include <array>

#include "core/base/interrupt.h"
#include "core/base/progress.h"

namespace edgellm {
namespace {

// In windows of the original. The solver's share of rounding with feedback does not depend on the text.
constexpr double kFast = 200, kClosing = 25, kSolver = 80, kCompensatedWindow = 2.9, kLayerTrainedWindow = 3,
                 kAskedWindow = 1.2, kTrainedWindow = 5;

constexpr std::array<FitSteps, 8> kLadder = {
    {{64, 0}, {96, 0}, {128, 0}, {128, 1}, {192, 1}, {192, 2}, {192, 3}, {192, 4}}};

}  // namespace

Result<double> time_window(LanguageModel& model, size_t n_tokens) {
  const std::vector<Token> window(n_tokens, 0);
  double seconds = 0;
  // The first time, the weights are read from the disk.
  for (int i = 0; i < 2; ++i) {
    const double began = monotonic_seconds();
    EDGELLM_RETURN_IF_ERROR(
        model.evaluate(window, window.size() - 1, [](size_t, const auto&) { return Status(); }));
    seconds = monotonic_seconds() - began;
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
  }
  return seconds;
}

double FitPace::fast() const {
  return kFast * seconds_per_window;
}

double FitPace::closing() const {
  return kClosing * seconds_per_window;
}

double FitPace::compensation(size_t n_windows, bool trains_layers) const {
  if (!n_windows) return 0;
  const double of_window = kCompensatedWindow + (trains_layers ? kLayerTrainedWindow : 0);
  return (kSolver + of_window * double(n_windows)) * seconds_per_window * torch_factor;
}

double FitPace::training(const FitSteps& steps) const {
  if (!steps.n_training_epochs) return 0;
  const double n = double(steps.n_compensation_windows);
  return (kAskedWindow + kTrainedWindow * double(steps.n_training_epochs)) * n * seconds_per_window *
         torch_factor;
}

FitSteps steps_within(double seconds, const FitPace& pace, size_t n_windows) {
  FitSteps most;
  for (FitSteps steps : kLadder) {
    steps.n_compensation_windows = std::min(steps.n_compensation_windows, n_windows);
    const double rounding = pace.compensation(steps.n_compensation_windows, steps.n_training_epochs > 0);
    if (rounding + pace.training(steps) <= seconds) most = steps;
  }
  return most;
}

size_t epochs_within(double seconds, const FitPace& pace, const FitSteps& steps) {
  size_t n = steps.n_training_epochs;
  while (n && pace.training({steps.n_compensation_windows, n}) > seconds) --n;
  return n;
}

}  // namespace edgellm
