// A decoder layer whose matrices are on the grids of a file: what training the grid's own numbers works on.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "compress/torch_model/torch_layer.h"
#include "compress/train/trained_matrix.h"

namespace edgellm {

class GridLayer {
 public:
  // layer: its matrices may be missing, those that are put here take their place.
  explicit GridLayer(TorchLayer layer) : layer_(std::move(layer)) {}

  uint32_t number() const { return layer_.number(); }
  void put(TensorRole role, std::unique_ptr<TrainedMatrix> matrix);
  // A matrix that is not trained.
  void put(TensorRole role, at::Tensor weights) { layer_.set_parameter(role, std::move(weights)); }
  const std::map<TensorRole, std::unique_ptr<TrainedMatrix>>& matrices() const { return matrices_; }
  // A norm or bias that is not trained.
  void leave(TensorRole role) { left_.insert(role); }

  // Scales and minima of all grids, norms and biases get gradients: relative changes, zero at first. Always
  // in the same order.
  std::vector<at::Tensor> train_scales();
  // The same with changes that train_scales() of this very layer gave another time.
  void use_scales(std::span<const at::Tensor> changes);
  // What values are rounded to is trained too, where formats allow it; originals: the weights that were
  // rounded, of all matrices(). keeps_zeros: in types that hold one.
  TrainedMatrix::Rounding train_rounding(const std::map<TensorRole, at::Tensor>& originals, bool keeps_zeros);
  // Of norms and biases that are trained, as they are now.
  std::map<TensorRole, at::Tensor> trained_vectors() const;

  // The layer with the weights that the grids give now; differentiable in all that is trained.
  TorchLayer computed() const;

 private:
  std::vector<TensorRole> vector_roles() const;

  TorchLayer layer_;
  std::map<TensorRole, std::unique_ptr<TrainedMatrix>> matrices_;
  std::map<TensorRole, at::Tensor> changes_;
  std::set<TensorRole> left_;
};

}  // namespace edgellm
