#include "recipes/compress/trained_layer.h"

#include "compress/train/layer_training.h"
#include "core/base/mapped_file.h"
#include "core/base/output_file.h"
#include "recipes/candidate_store.h"
#include "recipes/pruned_weights.h"
#include "recipes/role_tensor.h"

namespace edgellm {
namespace {

Result<GridLayer> grid_of(const LayerToTrain& layer, const Hyperparameters& hyperparameters,
                          std::map<TensorRole, at::Tensor>& originals) {
  GridLayer grid(layer.original);
  for (TensorRole role : layer.original.roles()) {
    const GgufTensor* tensor = find_tensor(layer.source, hyperparameters, role, layer.original.number());
    // What is trained must be what the file stores.
    if (!tensor || tensor->type != TensorType::F32) grid.leave(role);
  }
  for (const auto& [role, tensor] : layer.rounded) {
    EDGELLM_ASSIGN_OR_RETURN(
        MappedFile file, MappedFile::open(CandidateStore::path_of(layer.folder, tensor.name, tensor.type)));
    auto matrix = unpack_trained_matrix(file.bytes(), tensor.type, int64_t(tensor.n_rows()),
                                        int64_t(tensor.n_columns()));
    if (matrix.ok()) {
      (*matrix)->move_to(layer.original.parameter(role).device());
      originals[role] = layer.original.parameter(role);
      grid.put(role, std::move(*matrix));
    } else {
      // A type that is not trained: as it was rounded.
      grid.put(role, layer.calibration.layer().parameter(role));
    }
  }
  return grid;
}

Status write(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  EDGELLM_ASSIGN_OR_RETURN(OutputFile out, OutputFile::create(path));
  EDGELLM_RETURN_IF_ERROR(out.write(bytes));
  return out.commit();
}

}  // namespace

Result<TrainedLayer> train_rounded_layer(const LayerToTrain& layer) {
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(layer.source.metadata()));
  std::map<TensorRole, at::Tensor> originals;
  EDGELLM_ASSIGN_OR_RETURN(GridLayer grid, grid_of(layer, h, originals));
  LayerCalibration& calibration = layer.calibration;
  const at::Device device = calibration.positions().mask.device();
  auto there = [&](Result<at::Tensor> read) -> Result<at::Tensor> {
    if (!read.ok()) return read.error();
    return read->to(device);
  };
  LayerText text;
  text.n_windows = calibration.n_windows();
  text.inputs = [&](size_t first, size_t n) { return there(calibration.inputs(first, n)); };
  text.wanted = [&](size_t first, size_t n) { return there(calibration.original_outputs(first, n)); };
  LayerTrainingOptions options;
  options.n_epochs = layer.n_epochs;
  options.n_held_windows = layer.n_held_windows;
  options.keeps_zeros = has_pruned_weights(layer.source);
  EDGELLM_ASSIGN_OR_RETURN(LayerTrainingResult done,
                           train_layer(grid, originals, text, calibration.positions(), options));
  TrainedLayer trained = {layer.original.number(), done.held_before, done.held_after, done.best_epoch,
                          std::move(done.stopped)};
  if (!trained.best_epoch) return trained;
  at::NoGradGuard no_grad;
  for (const auto& [role, matrix] : grid.matrices()) {
    const std::vector<uint8_t> bytes = matrix->pack();
    EDGELLM_RETURN_IF_ERROR(
        write(CandidateStore::path_of(layer.folder, layer.rounded.at(role).name, matrix->type()),
              std::as_bytes(std::span(bytes))));
    calibration.layer().set_parameter(role, matrix->weights());
  }
  for (const auto& [role, values] : grid.trained_vectors()) {
    const GgufTensor& tensor = *find_tensor(layer.source, h, role, trained.layer);
    const at::Tensor flat = values.to(at::kCPU).contiguous();
    EDGELLM_RETURN_IF_ERROR(write(CandidateStore::path_of(layer.folder, tensor.name, tensor.type),
                                  std::as_bytes(std::span(flat.data_ptr<float>(), size_t(flat.numel())))));
    calibration.layer().set_parameter(role, values);
    trained.changed.push_back(tensor.name);
  }
  return trained;
}

}  // namespace edgellm
