#include "runtime/graph/decoder_weights.h"

#include <fmt/format.h>

#include "core/arch/tensor_table.h"

namespace edgellm {
namespace {

Vector* find_vector(DecoderWeights& w, TensorRole role, int32_t layer) {
  if (role == TensorRole::output_norm) return &w.output_norm;
  if (role == TensorRole::rope_factors) return &w.rope_factors;
  if (layer < 0) return nullptr;
  LayerWeights& l = w.layers[size_t(layer)];
  switch (role) {
    case TensorRole::attention_norm:
      return &l.attention_norm;
    case TensorRole::attention_post_norm:
      return &l.attention_post_norm;
    case TensorRole::attention_q_norm:
      return &l.q_norm;
    case TensorRole::attention_k_norm:
      return &l.k_norm;
    case TensorRole::attention_q_bias:
      return &l.q_bias;
    case TensorRole::attention_k_bias:
      return &l.k_bias;
    case TensorRole::attention_v_bias:
      return &l.v_bias;
    case TensorRole::attention_output_bias:
      return &l.attention_output_bias;
    case TensorRole::ffn_norm:
      return &l.ffn_norm;
    case TensorRole::ffn_post_norm:
      return &l.ffn_post_norm;
    case TensorRole::ffn_gate_bias:
      return &l.gate_bias;
    case TensorRole::ffn_up_bias:
      return &l.up_bias;
    case TensorRole::ffn_down_bias:
      return &l.down_bias;
    default:
      return nullptr;
  }
}

// Shapes and names have been checked.
Status bind(const Hyperparameters& h, const GgufTensor& tensor, DecoderWeights& weights) {
  ParsedTensorName parsed = parse_tensor_name(*h.architecture, tensor.name);
  TensorRole role = parsed.rule->role;
  const TensorTypeInfo& type = info(tensor.type);
  if (!type.decode)
    return Error{
        fmt::format("load model: tensor '{}' has type {}, which holds no weights", tensor.name, type.name)};
  if (Matrix* matrix = find_matrix(weights, role, parsed.layer)) {
    *matrix = {tensor.type, tensor.data.data(), tensor.n_rows(), tensor.n_columns()};
  } else if (Vector* vector = find_vector(weights, role, parsed.layer)) {
    vector->resize(tensor.n_values());
    type.decode(tensor.data.data(), vector->data(), tensor.n_values());
  }
  return {};
}

}  // namespace

Matrix* find_matrix(DecoderWeights& w, TensorRole role, int32_t layer) {
  if (role == TensorRole::token_embedding) return &w.token_embedding;
  if (role == TensorRole::output) return &w.output;
  if (layer < 0) return nullptr;
  LayerWeights& l = w.layers[size_t(layer)];
  switch (role) {
    case TensorRole::attention_q:
      return &l.q;
    case TensorRole::attention_k:
      return &l.k;
    case TensorRole::attention_v:
      return &l.v;
    case TensorRole::attention_output:
      return &l.attention_output;
    case TensorRole::ffn_gate:
      return &l.gate;
    case TensorRole::ffn_up:
      return &l.up;
    case TensorRole::ffn_down:
      return &l.down;
    default:
      return nullptr;
  }
}

Result<DecoderWeights> bind_decoder_weights(const GgufFile& file, const Hyperparameters& hyperparameters) {
  EDGELLM_RETURN_IF_ERROR(check_hyperparameters(hyperparameters));
  std::vector<TensorShape> shapes;
  for (const GgufTensor& tensor : file.tensors())
    shapes.push_back({tensor.name, tensor.n_rows(), tensor.n_columns()});
  EDGELLM_RETURN_IF_ERROR(check_tensor_table(hyperparameters, shapes));
  DecoderWeights weights;
  weights.layers.resize(hyperparameters.n_layers);
  for (const GgufTensor& tensor : file.tensors())
    EDGELLM_RETURN_IF_ERROR(bind(hyperparameters, tensor, weights));
  return weights;
}

}  // namespace edgellm
