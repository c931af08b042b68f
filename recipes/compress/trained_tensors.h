// A quantized model trained on its grid, end to end, towards the original (compress/train/end_training.h).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/language_model.h"
#include "core/model_file/gguf.h"
#include "recipes/quantize.h"

namespace edgellm {

struct GridTrainingOptions {
  // Where the plan's tensors lie, as a CandidateStore has them, and norms and biases that were changed.
  std::filesystem::path encoded;
  std::vector<std::string> changed = {};
  // Where the plan's tensors are put once trained, the same way; norms and biases too, in their own type.
  // What a stopped run leaves in it is gone on with, so it must belong to this source, plan, encoding and
  // text.
  std::filesystem::path folder;
  // What it is trained towards, of the same vocabulary; null: the source itself.
  std::shared_ptr<const GgufFile> original = nullptr;
  size_t n_epochs = 1;
  double learning_rate = 0;  // 0: chosen by how far the model is from the original
  // Of the pass that asks the original (compress/calibrate), and of the layers that are kept unpacked instead
  // of being read again for every step; 0: half of the machine's for the pass, a quarter for the layers. On
  // another device than the CPU all layers are kept there.
  uint64_t memory_limit = 0;
  bool keeps_layers = true;    // false: none are, whatever memory there is
  std::string device = "cpu";  // as of torch_compute
  size_t n_threads = 0;        // 0: one per usable core
};

struct GridTraining {
  // Mean divergence in nats from the original on windows that were not trained on.
  double held_before = 0, held_after = 0;
  // The epoch whose numbers are kept, from 1; 0: none helped, and no tensor is written.
  size_t best_epoch = 0;
  double learning_rate = 0;               // at its highest
  std::string stopped;                    // why it ended early (a loss that was no number); empty: it did not
  std::optional<uint32_t> stopped_layer;  // where that began; none: in no layer
  std::vector<double> epoch_held, epoch_trained;
  std::vector<double> step_divergence;  // of each step's windows as they were before it
  std::vector<std::string> changed;     // names of the tensors that differ now
  size_t n_tokens = 0;                  // trained on in an epoch
};

// How many of the windows judge the training and are not trained on: the last eighth of them, at least two.
constexpr size_t n_held_windows(size_t n_windows) {
  return n_windows / 8 < 2 ? 2 : n_windows / 8;
}

// Of the windows those to round on with feedback before that (compensate_tensors): what judges the training
// must be as new to the rounding. Where layers are trained too, it keeps the same windows apart itself.
inline std::span<const std::vector<Token>> windows_before_training(
    std::span<const std::vector<Token>> windows, size_t n_layer_epochs, size_t n_training_epochs) {
  if (n_layer_epochs || !n_training_epochs) return windows;
  return windows.first(windows.size() - n_held_windows(windows.size()));
}

// windows: of one length. Norms and biases that are not F32 stay as they are. Errors: fewer than 8 windows,
// out of memory or disk, "interrupted"; what was finished stays. Also where LibTorch is not linked.
Result<GridTraining> train_tensors(std::shared_ptr<const GgufFile> source, const QuantizationPlan& plan,
                                   std::span<const std::vector<Token>> windows,
                                   const GridTrainingOptions& options, const Progress& progress);

}  // namespace edgellm
