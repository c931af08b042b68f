#include "recipes/fit_model.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/content_hash.h"
#include "core/base/folder.h"
#include "core/base/output_file.h"
#include "recipes/calibration_statistics.h"
#include "recipes/json_file.h"

namespace edgellm {

uint64_t FitModel::most_layer_weights() const {
  std::map<int32_t, uint64_t> n_weights;
  for (const TensorCandidates& c : candidates)
    if (c.layer >= 0) n_weights[c.layer] += c.tensor->n_values();
  uint64_t most = 0;
  for (const auto& [layer, n] : n_weights) most = std::max(most, n);
  return most;
}

void FitModel::measure(ThreadPool& threads) {
  if (!store) store = std::make_unique<CandidateStore>(folder / "tensors", *source, &importance, threads);
  measured = std::make_unique<MeasuredModel>(*runtime, *source, *store);
}

Status FitModel::measure_with(const RuntimeModelOptions& options, ThreadPool& threads) {
  measured.reset();
  EDGELLM_ASSIGN_OR_RETURN(runtime, RuntimeLanguageModel::load(source, options));
  measure(threads);
  return {};
}

void FitModel::forget_stand_in() {
  measured->restore();
  for (const TensorCandidates& c : candidates) {
    store->remove(*c.tensor, c.probe);
    store->remove(*c.tensor, TensorType::Q8_0);
  }
  std::error_code code;
  std::filesystem::remove_all(folder.parent_path() / kStandInFolder, code);
}

Status learn_importance(FitModel& whole, std::span<const std::vector<Token>> windows,
                        const std::vector<std::string>& datasets, ThreadPool& threads,
                        const Progress& progress) {
  const auto matrix_path = whole.folder / "importance.gguf",
             influence_path = whole.folder / "block_influence.json";
  auto influence = read_json<std::vector<double>>(influence_path);
  auto matrix = read_importance_matrix(matrix_path);
  if (influence && influence->size() == whole.hyperparameters.n_layers && matrix.ok()) {
    whole.importance = std::move(*matrix);
    whole.block_influence = std::move(*influence);
    return {};
  }
  // What text may have been drawn with.
  const CandidateStore drawn_with(whole.folder.parent_path() / kStandInFolder, *whole.source, nullptr,
                                  threads);
  CandidateStore plain(whole.folder / "tensors", *whole.source, nullptr, threads);
  plain.share(drawn_with);
  MeasuredModel stand_in(*whole.runtime, *whole.source, plain);
  const QuantizationPlan plan = stand_in_plan(whole.candidates);
  EDGELLM_RETURN_IF_ERROR(stand_in.encode(plan, progress));
  EDGELLM_RETURN_IF_ERROR(stand_in.apply(plan));
  EDGELLM_ASSIGN_OR_RETURN(CalibrationStatistics statistics,
                           collect_calibration_statistics(*whole.runtime, windows, progress));
  stand_in.restore();
  whole.importance = std::move(statistics.importance);
  whole.importance.datasets = datasets;
  whole.block_influence = std::move(statistics.block_influence);
  EDGELLM_RETURN_IF_ERROR(write_importance_matrix(whole.importance, matrix_path));
  return write_text_file(influence_path, nlohmann::json(whole.block_influence).dump());
}

Result<std::unique_ptr<FitModel>> shaped_fit_model(const FitModel& whole, const ModelShape& shape,
                                                   Codebooks codebooks, const RuntimeModelOptions& options,
                                                   ThreadPool& threads, const Progress& progress) {
  auto shaped = std::make_unique<FitModel>();
  shaped->shape = shape;
  shaped->folder = whole.folder / ("shape-" + hash_text(to_json(shape).dump()).substr(0, 16));
  EDGELLM_RETURN_IF_ERROR(make_folder(shaped->folder));
  EDGELLM_ASSIGN_OR_RETURN(KeptChannels channels, kept_channels(*whole.source, shape, whole.importance));
  const std::filesystem::path path = shaped->folder / "model.gguf";
  // It is moved to its place when it is complete.
  std::error_code code;
  if (!std::filesystem::exists(path, code)) {
    const std::filesystem::path edited = shaped->folder / "edited";
    EDGELLM_RETURN_IF_ERROR(make_folder(edited));
    EditStore store(edited, threads);
    EDGELLM_ASSIGN_OR_RETURN(ModelEdit edit, shape_edit(*whole.source, shape, channels, store));
    EDGELLM_RETURN_IF_ERROR(write_edited_model(*whole.source, edit, path, [&](ProgressReport report) {
      report.stage = "writing the model without what is left out";
      if (progress) progress(report);
    }));
    std::filesystem::remove_all(edited, code);
  }
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
  shaped->source = std::make_shared<GgufFile>(std::move(file));
  EDGELLM_ASSIGN_OR_RETURN(shaped->hyperparameters, read_hyperparameters(shaped->source->metadata()));
  shaped->layers = layers_left(shape, whole.hyperparameters.n_layers);
  shaped->importance = shaped_importance(whole.importance, *shaped->source, shaped->layers, channels);
  for (uint32_t layer : shaped->layers) shaped->block_influence.push_back(whole.block_influence[layer]);
  EDGELLM_ASSIGN_OR_RETURN(shaped->candidates,
                           shaped_candidates(whole.candidates, *shaped->source, shape, shaped->layers,
                                             whole.hyperparameters, codebooks));
  EDGELLM_RETURN_IF_ERROR(shaped->measure_with(options, threads));
  std::map<std::string, std::string> names;
  for (const GgufTensor& tensor : shaped->source->tensors())
    names[tensor.name] = shaped->original_name(tensor.name);
  if (whole.store) shaped->store->share(*whole.store, std::move(names));
  return shaped;
}

}  // namespace edgellm
