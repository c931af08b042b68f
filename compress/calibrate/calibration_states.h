// The hidden states a calibration carries from layer to layer, in batches of windows, with their checkpoints.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compress/calibrate/calibration.h"

namespace edgellm {

class CalibrationStates {
 public:
  // Room for the states as `memory` plans it.
  static Result<CalibrationStates> create(const TorchModel& model, size_t n_windows, size_t n_tokens,
                                          const CalibrationOptions& options, const CalibrationMemory& memory);

  size_t n_windows() const { return size_t(calibrated_.shape().n_windows); }
  const TorchPositions& positions() const { return positions_; }
  const CalibrationOptions& options() const { return options_; }
  at::Device device() const { return device_; }
  HiddenStore& calibrated() { return calibrated_; }
  // Null unless the original model's states are kept too.
  HiddenStore* original() { return original_ ? &*original_ : nullptr; }

  // Calls function(first, n) for each batch of windows; stops with its error, or "interrupted".
  template <class Function>
  Status for_each_batch(Function&& function) {
    return for_each_batch(n_windows(), function);
  }
  // The same of the windows that statistics are taken of.
  template <class Function>
  Status for_each_counted_batch(Function&& function) {
    return for_each_batch(options_.n_counted_windows ? options_.n_counted_windows : n_windows(), function);
  }

  // Of as many windows and tokens, n_values a token; in memory where the states are and it is no more than
  // kMostKeptBytes, else on disk.
  Result<HiddenStore> like_states(int64_t n_values) const;

  // Error where they cannot be given (see LayerCalibration).
  Result<at::Tensor> read_inputs(size_t first, size_t n) const;
  Result<at::Tensor> read_original(size_t first, size_t n) const;

  // What a killed run had finished: layers, and their Block Influence. Nothing where there is no checkpoint
  // of `key`.
  struct Checkpoint {
    uint32_t n_layers_done = 0;
    std::vector<double> block_influence;
  };
  Result<Checkpoint> resume(const std::string& key);
  // The states entering layer n_layers_done are kept on disk; those of the checkpoint before go once these
  // are whole.
  Status keep(const std::string& key, const Checkpoint& checkpoint);
  void remove_checkpoint();

 private:
  CalibrationStates(HiddenStore calibrated, CalibrationOptions options)
      : options_(std::move(options)), calibrated_(std::move(calibrated)) {}
  static Status check_batch();
  template <class Function>
  Status for_each_batch(size_t n_all, Function&& function) {
    for (size_t first = 0; first < n_all; first += n_batch_) {
      EDGELLM_RETURN_IF_ERROR(check_batch());
      EDGELLM_RETURN_IF_ERROR(function(int64_t(first), int64_t(std::min(n_batch_, n_all - first))));
    }
    return {};
  }
  std::filesystem::path state_file() const { return options_.work_folder / "calibration.json"; }
  std::filesystem::path hidden_file(const char* stream, uint32_t layer) const;
  void remove_hidden_files(uint32_t but_of_layer) const;

  CalibrationOptions options_;
  HiddenStore calibrated_;
  std::optional<HiddenStore> original_;
  std::filesystem::path folder_;  // of states on disk
  TorchPositions positions_;
  at::Device device_ = at::kCPU;
  size_t n_batch_ = 1;
};

}  // namespace edgellm
