#include "runtime/graph/decoder_weights.h"

#include <fmt/format.h>

namespace edgellm {
namespace {

struct Shape {
  uint64_t n_rows, n_columns;
};

Shape shape_of(const Hyperparameters& h, TensorRole role, int32_t layer) {
  size_t i = layer < 0 ? 0 : size_t(layer);
  uint64_t width = h.n_embedding, n_q = uint64_t(h.n_heads[i]) * h.head_width_k,
           n_k = uint64_t(h.n_kv_heads[i]) * h.head_width_k, n_v = uint64_t(h.n_kv_heads[i]) * h.head_width_v,
           n_attended = uint64_t(h.n_heads[i]) * h.head_width_v, n_ffn = h.n_feed_forward[i];
  switch (role) {
    case TensorRole::token_embedding:
    case TensorRole::output:
      return {h.n_vocabulary, width};
    case TensorRole::rope_factors:
      return {1, h.n_rotated / 2};
    case TensorRole::attention_q:
      return {n_q, width};
    case TensorRole::attention_k:
      return {n_k, width};
    case TensorRole::attention_v:
      return {n_v, width};
    case TensorRole::attention_output:
      return {width, n_attended};
    case TensorRole::attention_q_bias:
      return {1, n_q};
    case TensorRole::attention_k_bias:
      return {1, n_k};
    case TensorRole::attention_v_bias:
      return {1, n_v};
    case TensorRole::attention_q_norm:
    case TensorRole::attention_k_norm:
      return {1, h.head_width_k};
    case TensorRole::ffn_gate:
    case TensorRole::ffn_up:
      return {n_ffn, width};
    case TensorRole::ffn_down:
      return {width, n_ffn};
    case TensorRole::ffn_gate_bias:
    case TensorRole::ffn_up_bias:
      return {1, n_ffn};
    case TensorRole::output_norm:
    case TensorRole::attention_norm:
    case TensorRole::attention_output_bias:
    case TensorRole::attention_post_norm:
    case TensorRole::ffn_norm:
    case TensorRole::ffn_down_bias:
    case TensorRole::ffn_post_norm:
      return {1, width};
  }
  return {0, 0};
}

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

Status bind(const Hyperparameters& h, const GgufTensor& tensor, DecoderWeights& weights) {
  ParsedTensorName parsed = parse_tensor_name(*h.architecture, tensor.name);
  if (!parsed.rule)
    return Error{fmt::format("load model: tensor '{}' is not one of the {} architecture", tensor.name,
                             h.architecture->name)};
  if (parsed.layer >= int64_t(h.n_layers))
    return Error{fmt::format("load model: tensor '{}' belongs to layer {} of a model with {} layers",
                             tensor.name, parsed.layer, h.n_layers)};
  TensorRole role = parsed.rule->role;
  Shape wanted = shape_of(h, role, parsed.layer);
  if (tensor.n_rows() != wanted.n_rows || tensor.n_columns() != wanted.n_columns)
    return Error{fmt::format("load model: tensor '{}': wanted {} rows of {} values, got {} of {}",
                             tensor.name, wanted.n_rows, wanted.n_columns, tensor.n_rows(),
                             tensor.n_columns())};
  const TensorTypeInfo& type = info(tensor.type);
  if (!type.decode)
    return Error{
        fmt::format("load model: tensor '{}' has type {}, which holds no weights", tensor.name, type.name)};
  if (Matrix* matrix = find_matrix(weights, role, parsed.layer)) {
    *matrix = {tensor.type, tensor.data.data(), size_t(wanted.n_rows), size_t(wanted.n_columns)};
  } else if (Vector* vector = find_vector(weights, role, parsed.layer)) {
    vector->resize(tensor.n_values());
    type.decode(tensor.data.data(), vector->data(), tensor.n_values());
  }
  return {};
}

// A layer without heads or without a feed-forward part lacks those tensors by right.
bool may_lack(const Hyperparameters& h, const TensorRule& rule, uint32_t layer) {
  if (!rule.required) return true;
  Shape shape = shape_of(h, rule.role, int32_t(layer));
  bool of_attention = rule.role == TensorRole::attention_norm || rule.role == TensorRole::attention_post_norm;
  bool of_ffn = rule.role == TensorRole::ffn_norm || rule.role == TensorRole::ffn_post_norm;
  return shape.n_rows == 0 || shape.n_columns == 0 || (of_attention && h.n_heads[layer] == 0) ||
         (of_ffn && h.n_feed_forward[layer] == 0);
}

Status check_complete(const GgufFile& file, const Hyperparameters& h) {
  for (const TensorRule& rule : h.architecture->tensors) {
    bool per_layer = rule.gguf_name.find("{}") != std::string_view::npos;
    for (uint32_t layer = 0; layer < (per_layer ? h.n_layers : 1); ++layer) {
      std::string name = tensor_name(rule.gguf_name, layer);
      bool optional = per_layer ? may_lack(h, rule, layer) : !rule.required;
      if (!optional && !file.find(name))
        return Error{fmt::format("load model: tensor '{}' is missing", name)};
    }
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

Status check_hyperparameters(const Hyperparameters& h) {
  auto wrong = [](std::string what) { return Error{"load model: " + std::move(what)}; };
  if (!h.architecture) return wrong("no architecture");
  if (h.architecture->norm != NormKind::rms)
    return wrong(fmt::format("the runtime has no layer norm, which {} needs", h.architecture->name));
  if (!h.n_layers || !h.n_embedding || !h.n_vocabulary || !h.head_width_k || !h.head_width_v)
    return wrong(fmt::format(
        "wanted layers, widths and vocabulary above 0, got {} layers, embedding {}, heads {} and {}, "
        "vocabulary {}",
        h.n_layers, h.n_embedding, h.head_width_k, h.head_width_v, h.n_vocabulary));
  if (h.n_heads.size() != h.n_layers || h.n_kv_heads.size() != h.n_layers ||
      h.n_feed_forward.size() != h.n_layers)
    return wrong(fmt::format("wanted head counts and feed-forward widths for {} layers, got {}, {} and {}",
                             h.n_layers, h.n_heads.size(), h.n_kv_heads.size(), h.n_feed_forward.size()));
  if (h.n_rotated % 2 != 0 || h.n_rotated > h.head_width_k)
    return wrong(fmt::format("rope turns {} values of heads of {}", h.n_rotated, h.head_width_k));
  for (uint32_t i = 0; i < h.n_layers; ++i)
    if (h.n_heads[i] && (!h.n_kv_heads[i] || h.n_heads[i] % h.n_kv_heads[i] != 0))
      return wrong(fmt::format("layer {} has {} heads, no multiple of its {} key-value heads", i,
                               h.n_heads[i], h.n_kv_heads[i]));
  return {};
}

Result<DecoderWeights> bind_decoder_weights(const GgufFile& file, const Hyperparameters& hyperparameters) {
  EDGELLM_RETURN_IF_ERROR(check_hyperparameters(hyperparameters));
  EDGELLM_RETURN_IF_ERROR(check_complete(file, hyperparameters));
  DecoderWeights weights;
  weights.layers.resize(hyperparameters.n_layers);
  for (const GgufTensor& tensor : file.tensors())
    EDGELLM_RETURN_IF_ERROR(bind(hyperparameters, tensor, weights));
  return weights;
}

}  // namespace edgellm
