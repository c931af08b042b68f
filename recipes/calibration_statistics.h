// What one pass of the original model over the calibration text tells: the importance of every weight column,
// and each layer's Block Influence.
#pragma once

#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/model_file/importance_matrix.h"
#include "runtime/decode/runtime_language_model.h"

namespace edgellm {

struct CalibrationStatistics {
  ImportanceMatrix importance;
  // ShortGPT (arXiv 2403.03853): 1 - mean over tokens of the cosine between a layer's input and its output:
  // [n_layers]
  std::vector<double> block_influence;
};

// Of value matrices the importance is that of inputs mixed as attention mixes them (recipes/mixed_inputs.h),
// where a window is one batch. The output matrix has an entry of its own, under token_embd.weight where it is
// tied.
Result<CalibrationStatistics> collect_calibration_statistics(RuntimeLanguageModel& model,
                                                             std::span<const std::vector<Token>> windows,
                                                             const Progress& progress);

}  // namespace edgellm
