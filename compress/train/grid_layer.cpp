#include "compress/train/grid_layer.h"

#include <algorithm>

#include "core/blocks/exact_zero.h"

namespace edgellm {

void GridLayer::put(TensorRole role, std::unique_ptr<TrainedMatrix> matrix) {
  layer_.set_parameter(role, at::Tensor());
  matrices_.insert_or_assign(role, std::move(matrix));
}

std::vector<TensorRole> GridLayer::vector_roles() const {
  auto matrices = layer_matrix_roles();
  std::vector<TensorRole> vectors;
  for (TensorRole role : layer_.roles())
    if (std::find(matrices.begin(), matrices.end(), role) == matrices.end() && !left_.contains(role))
      vectors.push_back(role);
  return vectors;
}

std::vector<at::Tensor> GridLayer::train_scales() {
  std::vector<at::Tensor> changes;
  for (const auto& [role, matrix] : matrices_)
    for (const at::Tensor& blocks : matrix->block_parameters()) changes.push_back(at::zeros_like(blocks));
  for (TensorRole role : vector_roles()) changes.push_back(at::zeros_like(layer_.parameter(role)));
  for (at::Tensor& change : changes) change.set_requires_grad(true);
  use_scales(changes);
  return changes;
}

void GridLayer::use_scales(std::span<const at::Tensor> changes) {
  size_t next = 0;
  for (auto& [role, matrix] : matrices_) {
    const size_t n = matrix->block_parameters().size();
    matrix->use_block_changes(changes.subspan(next, n));
    next += n;
  }
  for (TensorRole role : vector_roles()) changes_.insert_or_assign(role, changes[next++]);
}

TrainedMatrix::Rounding GridLayer::train_rounding(const std::map<TensorRole, at::Tensor>& originals,
                                                  bool keeps_zeros) {
  TrainedMatrix::Rounding all;
  for (auto& [role, matrix] : matrices_) {
    TrainedMatrix::Rounding one =
        matrix->train_rounding(originals.at(role), keeps_zeros && holds_exact_zero(matrix->type()));
    all.levels.insert(all.levels.end(), one.levels.begin(), one.levels.end());
    all.runs.insert(all.runs.end(), one.runs.begin(), one.runs.end());
  }
  return all;
}

std::map<TensorRole, at::Tensor> GridLayer::trained_vectors() const {
  at::NoGradGuard no_grad;
  std::map<TensorRole, at::Tensor> vectors;
  for (const auto& [role, change] : changes_) vectors[role] = layer_.parameter(role) * (1 + change);
  return vectors;
}

TorchLayer GridLayer::computed() const {
  TorchLayer layer = layer_;
  for (const auto& [role, matrix] : matrices_) layer.set_parameter(role, matrix->weights());
  for (const auto& [role, change] : changes_)
    layer.set_parameter(role, layer_.parameter(role) * (1 + change));
  return layer;
}

}  // namespace edgellm
