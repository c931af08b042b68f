// The text that a fit calibrates, searches and verifies with where the user gives none.
#pragma once

#include "recipes/calibration_text.h"
#include "recipes/fit_effort.h"
#include "recipes/fit_model.h"

namespace edgellm {

inline bool is_large(const FitModel& model) {
  return model.source->n_file_bytes() > kLargeModelBytes;
}

// folder: of the model's own work, where draws and the stand-in's encodings are kept for other fits of it.
Result<CalibrationText> fit_text(const FitModel& model, const Tokenizer& tokenizer, const FitEffort& effort,
                                 size_t fewest_windows, const std::filesystem::path& folder,
                                 ThreadPool& threads, const Progress& progress);

}  // namespace edgellm
