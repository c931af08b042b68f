// The tensors of a decoder-only model, found by their role, checked against the hyperparameters, and left
// where they lie in the mapped file.
#pragma once

#include <memory>
#include <vector>

#include "core/arch/architecture.h"
#include "core/model_file/gguf.h"
#include "runtime/backends/backend.h"

namespace edgellm {

// A short vector (norm weight or bias), as floats; empty when the model has none.
using Vector = std::vector<float>;
inline const float* data_or_null(const Vector& vector) {
  return vector.empty() ? nullptr : vector.data();
}

struct LayerWeights {
  Matrix q, k, v, attention_output, gate, up, down;
  Vector attention_norm, attention_post_norm, q_norm, k_norm;
  Vector q_bias, k_bias, v_bias, attention_output_bias;
  Vector ffn_norm, ffn_post_norm, gate_bias, up_bias, down_bias;
};

struct DecoderWeights {
  Matrix token_embedding;
  Matrix output;  // no data: the token embedding is the output matrix too
  Vector output_norm, rope_factors;
  std::vector<LayerWeights> layers;

  const Matrix& head() const { return output.data ? output : token_embedding; }
};

// Errors name the tensor that is missing, unknown or of another shape than the hyperparameters say.
Result<DecoderWeights> bind_decoder_weights(const GgufFile& file, const Hyperparameters& hyperparameters);

// Null when the role has no matrix. layer is -1 outside the layers.
Matrix* find_matrix(DecoderWeights& weights, TensorRole role, int32_t layer);

// Numbers that no graph can be built from (zero widths, heads that do not divide) as an Error.
Status check_hyperparameters(const Hyperparameters& hyperparameters);

}  // namespace edgellm
