// Training on the grid, one layer at a time: what a layer's file stores (levels, scales and minima, whole
// numbers of runs, norms, biases) is trained so that the layer gives what the original's gives of the
// original text, from what the quantized layers before it make of it (the first phase of EfficientQAT, arXiv
// 2407.11062). Tokens count by the error relative to the way from what enters the layer to what is wanted,
// for some tokens' states are a thousand times as long as others'.
#pragma once

#include <ATen/ATen.h>
#include <cstddef>
#include <functional>
#include <map>
#include <string>

#include "compress/torch_model/torch_positions.h"
#include "compress/train/grid_layer.h"

namespace edgellm {

// Windows first .. first + n - 1, [n, n_tokens, n_embedding], float: what enters the layer, and what it
// should make of it.
struct LayerText {
  using Read = std::function<Result<at::Tensor>(size_t first, size_t n)>;
  size_t n_windows = 0;
  Read inputs, wanted;
};

// Levels that are trained for less are left where a few steps have shaken them: worse than they were.
inline constexpr size_t kLevelEpochs = 3;

struct LayerTrainingOptions {
  size_t n_epochs = 3;         // fewer than kLevelEpochs: levels and whole numbers of runs stay
  size_t n_batch_windows = 2;  // of a step
  // Of the windows, the last ones, which are not trained on: they tell whether it has helped.
  size_t n_held_windows = 8;
  bool keeps_zeros = false;  // weights that are zero stay it, in types that hold one
  // Of a step, at their highest, where the error is a half; they follow its root, for large steps that mend a
  // bad layer spoil a good one: of levels in distances of neighbouring levels, of the whole numbers of runs
  // in units, of all else in shares of itself (docs/methods.md has what was measured).
  double level_rate = 0.01, run_rate = 0.01, scale_rate = 0.004;
};

struct LayerTrainingResult {
  // Of the windows held back: mean over tokens of |output - wanted|^2 / |wanted - input|^2.
  double held_before = 0, held_after = 0;
  size_t best_epoch = 0;  // whose numbers are kept, from 1; 0: none helped, and the layer is as it was
  std::string stopped;    // where a loss was no number: which; empty: none
};

// originals: the weights that were rounded, of all the layer's trained matrices. Where a loss is no number
// the best epoch before stays. Errors: no window is left to train on, "interrupted", what `text` reports.
Result<LayerTrainingResult> train_layer(GridLayer& layer, const std::map<TensorRole, at::Tensor>& originals,
                                        const LayerText& text, const TorchPositions& positions,
                                        const LayerTrainingOptions& options);

}  // namespace edgellm
