// A mapped GGUF model that LibTorch computes block by block: layers, embeddings and head are loaded when they
// are wanted and gone when they are dropped, so that no step holds the whole model.
//
//   hidden = model.embed(windows);
//   for layer in 0 .. n_layers: hidden = model.load_layer(layer).forward(hidden, positions);
//   logits = model.load_head().logits(hidden);
#pragma once

#include <ATen/ATen.h>
#include <memory>
#include <span>
#include <vector>

#include "compress/torch_model/torch_device.h"
#include "compress/torch_model/torch_layer.h"
#include "compress/torch_model/torch_positions.h"
#include "core/arch/architecture.h"
#include "core/language_model.h"
#include "core/model_file/gguf.h"

namespace edgellm {

// Rows whose logits are computed together: those of a large vocabulary are the largest tensors of all.
inline constexpr int64_t kLogitRows = 128;

// The last norm and the output matrix.
struct TorchHead {
  at::Tensor norm;    // [n_embedding], float
  at::Tensor matrix;  // [n_vocabulary, n_embedding]
  double norm_epsilon = 0, soft_cap = 0;
  bool is_tied = false;  // the matrix is the token embedding's

  // hidden: [..., n_embedding] after the last layer, any floating type; the result [..., n_vocabulary] is
  // float.
  at::Tensor logits(const at::Tensor& hidden) const;
};

class TorchModel {
 public:
  // Error for an unknown architecture or a tensor that is missing, unknown or of a wrong shape (named).
  static Result<std::unique_ptr<TorchModel>> open(std::shared_ptr<const GgufFile> file,
                                                  const TorchCompute& compute);

  const Hyperparameters& hyperparameters() const { return hyperparameters_; }
  const TorchCompute& compute() const { return compute_; }
  const GgufFile& file() const { return *file_; }
  uint32_t n_layers() const { return hyperparameters_.n_layers; }

  // Decoded from the file now. Error when the memory is not there.
  Result<TorchLayer> load_layer(uint32_t layer) const;
  // Its norms and biases alone.
  Result<TorchLayer> load_vectors(uint32_t layer) const;
  Result<TorchHead> load_head() const;
  Result<at::Tensor> load_output_norm() const;  // [n_embedding], float
  TorchPositions positions(int64_t n_tokens) const;

  // What enters the first layer: [windows.size(), n_tokens, n_embedding], float. Of the table, only these
  // rows are decoded. Error for windows of different lengths or without tokens, or a token outside the
  // vocabulary.
  Result<at::Tensor> embed(std::span<const std::vector<Token>> windows) const;
  // The same from another table of the same shape.
  Result<at::Tensor> embed(std::span<const std::vector<Token>> windows, const GgufTensor& table) const;

 private:
  TorchModel() = default;
  std::shared_ptr<const GgufFile> file_;
  Hyperparameters hyperparameters_;
  TorchCompute compute_;
  std::vector<float> rope_factors_;
};

}  // namespace edgellm
