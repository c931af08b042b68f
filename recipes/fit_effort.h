// How much a fit measures and tries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/result.h"

namespace edgellm {

// The defaults are those of "fast".
struct FitEffort {
  size_t n_window_tokens = 256;
  size_t n_importance_windows = 32;
  size_t n_search_windows = 12;  // fidelity 1 of the evolution; the first quarter of them is fidelity 0
  size_t n_sensitivity_windows = 1;
  size_t n_sensitivity_tokens = 128;  // of each of them, from its start
  size_t n_verify_windows = 12;       // used for nothing but the final check
  size_t n_error_rows = 256;          // per tensor, for rounding errors
  size_t n_generations = 3;
  size_t n_offspring = 6;
  size_t patience = 1;   // generations of little gain before the evolution ends
  size_t n_presets = 2;  // that are measured beside the searched plan
  // Predicted harm in nats of the best plan of all parts from which on it is measured what leaving parts out
  // would do: small harm has never been worth a part. Where nothing fits with all of them they are in any
  // case.
  double least_harm_to_leave_out = 0.2;
  // Whether plans are made of codebook types too (recipes/tensor_costs.h); otherwise only where the others do
  // not fit.
  bool codebooks = false;
  // Windows that the best plan is rounded with feedback on (recipes/compress/compensated_tensors.h). 0: it is
  // not, and no LibTorch is needed.
  size_t n_compensation_windows = 0;
  // Times that each layer is then trained over them (compress/train/layer_training.h), where the machine has
  // the memory.
  size_t n_layer_epochs = 0;
  // Times that the best encoding is then trained, all layers together, over the same windows
  // (recipes/compress/trained_tensors.h).
  size_t n_training_epochs = 0;

  bool operator==(const FitEffort&) const = default;
};

// Where a fit trains at all.
inline constexpr size_t kFitLayerEpochs = 1;

// "fast"; "balanced", which plans with codebook types too and compensates; "best", which searches longer
// and trains. All of them divide the text alike, so that one goes on with what another measured. Error lists
// them.
Result<FitEffort> fit_effort(std::string_view name);

// Models whose file is larger get less text, are drawn from in their stand-in, and computed with one layer's
// pages at a time.
inline constexpr uint64_t kLargeModelBytes = uint64_t{4} << 30;

// What it comes down to for a model of this size: a large one's fast fit is to end within two hours on two
// cores, and to leave no second copy of the model on the disk.
FitEffort effort_for_size(FitEffort effort, uint64_t n_model_bytes);

// Windows that a model of this size writes where no text is given.
size_t n_drawn_windows(const FitEffort& effort, uint64_t n_model_bytes);

}  // namespace edgellm
