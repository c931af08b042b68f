// Training on the grid, end to end: what a quantized model's file stores beside its levels (scales and minima
// of blocks, norms, biases) is trained so that the model expects what the original expects, by the full
// Kullback-Leibler divergence of their next tokens (the second phase of EfficientQAT, arXiv 2407.11062, with
// the original instead of the text as its teacher). Levels stay, so the file keeps its size and its types.
//
// One layer's weights are wanted at a time: hidden states between layers are kept going forward, and layer by
// layer, from the last, each is computed again for its gradient.
#pragma once

#include <ATen/ATen.h>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compress/torch_model/torch_model.h"
#include "compress/train/grid_layer.h"
#include "compress/train/teacher_logits.h"
#include "core/base/progress.h"
#include "core/language_model.h"

namespace edgellm {

// A quantized model, layer by layer.
struct GridModel {
  uint32_t n_layers = 0;
  TorchPositions positions;  // of a window's tokens
  // The same numbers whenever it is asked; it may be the very layer of before.
  std::function<Result<std::shared_ptr<GridLayer>>(uint32_t layer)> load_layer;
  // What enters the first layer, as TorchModel::embed gives it.
  std::function<Result<at::Tensor>(std::span<const std::vector<Token>> windows)> embed;
  TorchHead head;
  bool trains_output_norm = true;
};

struct EndTrainingOptions {
  size_t n_epochs = 1;
  // Of a step's relative change, at its highest; 0: by how far the model is from its teacher
  // (learning_rate_for).
  double learning_rate = 0;
  size_t n_batch_windows = 2;  // of a step
  // Of the windows, the last ones, which are not trained on: they tell whether it has helped.
  size_t n_held_windows = 8;
  // Where the state is kept every minute; a run of the same key and windows goes on from it. Empty: nowhere.
  std::filesystem::path checkpoint;
  std::string key;
};

// 0.002 sqrt(mean divergence in nats), within bounds: large steps that mend a bad model spoil a good one
// (docs/methods.md has what was tried).
double learning_rate_for(double divergence);

struct EndTrainingResult {
  // Mean divergence from the teacher on the windows held back, in nats.
  double held_before = 0, held_after = 0;
  // The epoch (from 1) whose numbers are kept; 0: no epoch helped, everything is as it was.
  size_t best_epoch = 0;
  double learning_rate = 0;
  // Where a loss or a gradient was no number: which. Epochs before it count.
  std::string stopped;
  // The first layer that gave it; none: the embedding and the layers gave numbers, the head did not.
  std::optional<uint32_t> stopped_layer;
  std::vector<double> epoch_held, epoch_trained;  // means of each epoch: after it, and in it
  // Of each step's windows as they were before it, in the order of the steps, all epochs.
  std::vector<double> step_divergence;
};

class EndTraining {
 public:
  // windows: of one length, in the order of `teacher`. All references must outlive it.
  EndTraining(const GridModel& model, std::span<const std::vector<Token>> windows,
              const TeacherLogits& teacher, const EndTrainingOptions& options);
  ~EndTraining();

  // A loss or gradient that is no number ends it early, with the best epoch before. Error: no window is left
  // to train on, "interrupted", what the model or the disk reports.
  Result<EndTrainingResult> run(const Progress& progress);

  // After run(): what it found.
  Result<std::shared_ptr<GridLayer>> layer(uint32_t layer) const;
  at::Tensor output_norm() const;

 private:
  struct State;
  Status begin();
  Result<double> pass(size_t first_window, size_t n_windows, bool with_gradient);
  Result<double> held_divergence(size_t n_trained_epochs);
  Result<std::optional<uint32_t>> first_broken_layer(size_t first_window, size_t n_windows) const;
  Result<double> train_epoch(size_t epoch);
  Status save() const;
  bool resume();
  void keep_best();

  const GridModel& model_;
  std::span<const std::vector<Token>> windows_;
  const TeacherLogits& teacher_;
  const EndTrainingOptions& options_;
  size_t n_trained_windows_ = 0;
  std::unique_ptr<State> state_;
};

}  // namespace edgellm
