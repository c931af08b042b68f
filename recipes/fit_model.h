// The model that a fit plans for and what is known of it: the original, or that without what is left out.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "core/base/progress.h"
#include "core/model_file/importance_matrix.h"
#include "recipes/measured_model.h"
#include "recipes/shaped_model.h"
#include "recipes/tensor_costs.h"

namespace edgellm {

// Beneath the folder of a model: what text is drawn with, where that is not the model itself.
inline constexpr const char* kStandInFolder = "stand-in";

struct FitModel {
  FitModel() = default;
  FitModel(const FitModel&) = delete;  // its parts point at one another

  std::shared_ptr<GgufFile> source;
  Hyperparameters hyperparameters;
  std::vector<TensorCandidates> candidates;
  ImportanceMatrix importance;
  std::vector<double> block_influence;  // [n_layers]
  std::unique_ptr<RuntimeLanguageModel> runtime;
  std::unique_ptr<CandidateStore> store;
  std::unique_ptr<MeasuredModel> measured;
  std::filesystem::path folder;  // of the work on its plans
  ModelShape shape;              // of the original
  std::vector<uint32_t> layers;  // the original's number of each layer; empty: the same

  // Begins to measure plans with the runtime as it is loaded.
  void measure(ThreadPool& threads);
  // The same loaded anew with these options.
  Status measure_with(const RuntimeModelOptions& options, ThreadPool& threads);
  // Takes the stand-in and the probes from the disk, where nothing more is measured in them: of a large model
  // they are two thirds of its own bytes.
  void forget_stand_in();
  // Of the largest layer's matrices.
  uint64_t most_layer_weights() const;
  // The original's name of a tensor and number of a layer.
  std::string original_name(const std::string& tensor) const {
    return source_name(*hyperparameters.architecture, tensor, layers);
  }
  int32_t original_layer(int32_t layer) const {
    return layer < 0 || layers.empty() ? layer : int32_t(layers[size_t(layer)]);
  }
};

// Fills importance and Block Influence from the stand-in's pass over the windows, unless the folder has them.
Status learn_importance(FitModel& whole, std::span<const std::vector<Token>> windows,
                        const std::vector<std::string>& datasets, ThreadPool& threads,
                        const Progress& progress);

// Writes the model without what the shape leaves out into a folder of its own beneath the whole one's, unless
// a stopped fit has left it there, and tells what is known of the whole one of it.
Result<std::unique_ptr<FitModel>> shaped_fit_model(const FitModel& whole, const ModelShape& shape,
                                                   Codebooks codebooks, const RuntimeModelOptions& options,
                                                   ThreadPool& threads, const Progress& progress);

}  // namespace edgellm
