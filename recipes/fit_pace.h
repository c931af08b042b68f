// How much of its costly stages a fit has time for (`fit --time`).
#pragma once

#include <cstddef>

#include "core/language_model.h"

namespace edgellm {

// What a fit does beyond one of effort "fast".
struct FitSteps {
  size_t n_compensation_windows = 0;  // that the best plan is rounded with feedback on; 0: it is not
  // All layers together over the same windows; each by itself has been before that (kFitLayerEpochs).
  size_t n_training_epochs = 0;
  bool operator==(const FitSteps&) const = default;
};

// Seconds of a fit's stages, all in proportion to the time our runtime takes for one calibration window with
// the original's weights. The proportions are those of one model of 1.5 billion weights in F16 on two cores
// (fit_pace.cpp); elsewhere they are rough, so a fit asks again whenever a stage is over.
struct FitPace {
  double seconds_per_window = 0;
  double torch_factor = 1;  // what the stages in LibTorch took over what was expected

  double fast() const;     // all of it
  double closing() const;  // what follows the search and those stages: judging, writing, measuring
  // With or without each layer's own training (kFitLayerEpochs).
  double compensation(size_t n_windows, bool trains_layers) const;
  double training(const FitSteps& steps) const;
};

// seconds_per_window of a model on this machine.
Result<double> time_window(LanguageModel& model, size_t n_tokens);

// The most that takes at most `seconds`, where there are n_windows in all: more windows come before training,
// training before the last windows.
FitSteps steps_within(double seconds, const FitPace& pace, size_t n_windows);
// Of `steps`, whose windows are settled, the epochs that still can be done.
size_t epochs_within(double seconds, const FitPace& pace, const FitSteps& steps);

}  // namespace edgellm
