// What a fit leaves out of a model before it chooses types: layers, halves of layers, channels of
// feed-forward parts, where the bytes they free are predicted to be worth more elsewhere than the harm of
// their loss.
#pragma once

#include <filesystem>
#include <optional>

#include "core/base/progress.h"
#include "core/model_file/importance_matrix.h"
#include "recipes/plan_problem.h"

namespace edgellm {

struct ShapeSearchInput {
  const PlanSearchInput* plan = nullptr;  // of the whole model
  const ImportanceMatrix* importance = nullptr;
  bool whole_layers_only = false;
  size_t n_window_tokens = 128;  // of the search text's first window, for the parts one by one
  // What a stopped search has measured; for one text, one KV cache and one folder of encoded tensors.
  std::filesystem::path log = {};
  // For down matrices on trial; beneath it, and gone with the search.
  std::filesystem::path folder = {};
};

struct FoundShape {
  ModelShape shape;
  double kl = 0;  // that leaving it out adds by itself, measured on the little text
  // Predicted, of the types of the best plan; none where none fits.
  std::optional<double> harm_of_whole, harm;
};

// Greedy: of all parts, the one after whose loss measured KL and predicted harm of the types add up to the
// least, as long as the sum falls by three thousandths; each loss is measured together with those before it.
// All are kept unless the sum falls by a twentieth in all. Where no plan fits, first the parts whose loss
// adds the least KL a byte. Parts one by one are measured in the layers of least Block Influence first, and
// in the others only if all layers would gain enough at the rate of these, or nothing fits. Halves and single
// widths only where stock llama.cpp reads them (recipes/edited_model.h). The model is restored. Error where
// nothing fits whatever is left out.
Result<FoundShape> search_shape(MeasuredModel& model, const ShapeSearchInput& input, ThreadPool& threads,
                                const Progress& progress);

}  // namespace edgellm
