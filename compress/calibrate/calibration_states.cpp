#include "compress/calibrate/calibration_states.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/interrupt.h"
#include "core/base/output_file.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCalibrated = "calibrated";
constexpr const char* kOriginal = "original";

}  // namespace

Result<CalibrationStates> CalibrationStates::create(const TorchModel& model, size_t n_windows,
                                                    size_t n_tokens, const CalibrationOptions& options,
                                                    const CalibrationMemory& memory) {
  HiddenShape shape = {int64_t(n_windows), int64_t(n_tokens), int64_t(model.hyperparameters().n_embedding),
                       options.hidden_type};
  std::error_code error;
  fs::path folder = options.work_folder.empty() ? fs::temp_directory_path(error) : options.work_folder;
  if (!options.work_folder.empty()) fs::create_directories(folder, error);
  if (error)
    return Error{fmt::format("calibrate: cannot use the folder {}: {}", folder.string(), error.message())};
  auto store = [&] {
    return memory.hidden_on_disk ? HiddenStore::in_file(shape, folder) : HiddenStore::in_memory(shape);
  };
  EDGELLM_ASSIGN_OR_RETURN(HiddenStore calibrated, store());
  CalibrationStates states(std::move(calibrated), options);
  if (options.sequential && options.keep_original) {
    EDGELLM_ASSIGN_OR_RETURN(states.original_, store());
  }
  states.folder_ = folder;
  states.positions_ = model.positions(int64_t(n_tokens));
  states.device_ = model.compute().device;
  states.n_batch_ = memory.n_batch_windows;
  return states;
}

Result<HiddenStore> CalibrationStates::like_states(int64_t n_values) const {
  HiddenShape shape = calibrated_.shape();
  shape.n_embedding = n_values;
  const bool in_memory = calibrated_.is_in_memory() && shape.n_bytes() <= kMostKeptBytes;
  return in_memory ? HiddenStore::in_memory(shape) : HiddenStore::in_file(shape, folder_);
}

Status CalibrationStates::check_batch() {
  return check_interrupt();
}

Result<at::Tensor> CalibrationStates::read_inputs(size_t first, size_t n) const {
  if (!options_.sequential)
    return Error{"calibrate: a layer's inputs can be read only of a sequential calibration"};
  return calibrated_.read(int64_t(first), int64_t(n));
}

Result<at::Tensor> CalibrationStates::read_original(size_t first, size_t n) const {
  if (!original_) return Error{"calibrate: the original model's hidden states were not asked for"};
  return original_->read(int64_t(first), int64_t(n));
}

fs::path CalibrationStates::hidden_file(const char* stream, uint32_t layer) const {
  return options_.work_folder / fmt::format("hidden-{}-{}.bin", stream, layer);
}

void CalibrationStates::remove_hidden_files(uint32_t but_of_layer) const {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(options_.work_folder, ignored))
    if (entry.path().filename().string().starts_with("hidden-")) found.push_back(entry.path());
  for (const fs::path& path : found)
    if (path != hidden_file(kCalibrated, but_of_layer) && path != hidden_file(kOriginal, but_of_layer))
      fs::remove(path, ignored);
}

Result<CalibrationStates::Checkpoint> CalibrationStates::resume(const std::string& key) {
  Checkpoint none;
  std::error_code error;
  if (options_.work_folder.empty() || !fs::exists(state_file(), error)) return none;
  EDGELLM_ASSIGN_OR_RETURN(std::string text, read_text_file(state_file()));
  nlohmann::json kept = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!kept.is_object() || kept.value("key", "") != key) return none;
  Checkpoint checkpoint;
  checkpoint.n_layers_done = kept.value("n_layers_done", 0u);
  checkpoint.block_influence = kept.value("block_influence", std::vector<double>());
  if (checkpoint.n_layers_done == 0) return none;
  // States that are gone or cut off are computed again.
  if (!calibrated_.read_from(hidden_file(kCalibrated, checkpoint.n_layers_done)).ok()) return none;
  if (original_ && !original_->read_from(hidden_file(kOriginal, checkpoint.n_layers_done)).ok()) return none;
  return checkpoint;
}

Status CalibrationStates::keep(const std::string& key, const Checkpoint& checkpoint) {
  if (options_.work_folder.empty()) return {};
  EDGELLM_RETURN_IF_ERROR(calibrated_.save(hidden_file(kCalibrated, checkpoint.n_layers_done)));
  if (original_) EDGELLM_RETURN_IF_ERROR(original_->save(hidden_file(kOriginal, checkpoint.n_layers_done)));
  nlohmann::json kept = {{"key", key},
                         {"n_layers_done", checkpoint.n_layers_done},
                         {"block_influence", checkpoint.block_influence}};
  EDGELLM_RETURN_IF_ERROR(write_text_file(state_file(), kept.dump() + "\n"));
  remove_hidden_files(checkpoint.n_layers_done);
  return {};
}

void CalibrationStates::remove_checkpoint() {
  if (options_.work_folder.empty()) return;
  std::error_code ignored;
  // The state first: without it the others mean nothing.
  fs::remove(state_file(), ignored);
  remove_hidden_files(~0u);
}

}  // namespace edgellm
