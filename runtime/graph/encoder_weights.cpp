#include "runtime/graph/encoder_weights.h"

#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/model_file/printable.h"

namespace edgellm {
namespace {

// Where a role's matrix or vector goes; the other is null.
struct Place {
  Matrix* matrix = nullptr;
  std::vector<float>* vector = nullptr;
};

Place place_of(EncoderWeights& weights, EncoderLayer& layer, EncoderTensor role) {
  switch (role) {
    case EncoderTensor::word_embedding:
      return {.matrix = &weights.word_embedding};
    case EncoderTensor::position_embedding:
      return {.matrix = &weights.position_embedding};
    case EncoderTensor::segment_embedding:
      return {.matrix = &weights.segment_embedding};
    case EncoderTensor::embedding_norm:
      return {.vector = &weights.embedding_norm};
    case EncoderTensor::embedding_norm_bias:
      return {.vector = &weights.embedding_norm_bias};
    case EncoderTensor::embedding_projection:
      return {.matrix = &weights.embedding_projection};
    case EncoderTensor::embedding_projection_bias:
      return {.vector = &weights.embedding_projection_bias};
    case EncoderTensor::attention_q:
      return {.matrix = &layer.q};
    case EncoderTensor::attention_q_bias:
      return {.vector = &layer.q_bias};
    case EncoderTensor::attention_k:
      return {.matrix = &layer.k};
    case EncoderTensor::attention_k_bias:
      return {.vector = &layer.k_bias};
    case EncoderTensor::attention_v:
      return {.matrix = &layer.v};
    case EncoderTensor::attention_v_bias:
      return {.vector = &layer.v_bias};
    case EncoderTensor::attention_output:
      return {.matrix = &layer.attention_output};
    case EncoderTensor::attention_output_bias:
      return {.vector = &layer.attention_output_bias};
    case EncoderTensor::attention_norm:
      return {.vector = &layer.attention_norm};
    case EncoderTensor::attention_norm_bias:
      return {.vector = &layer.attention_norm_bias};
    case EncoderTensor::ffn_up:
      return {.matrix = &layer.ffn_up};
    case EncoderTensor::ffn_up_bias:
      return {.vector = &layer.ffn_up_bias};
    case EncoderTensor::ffn_down:
      return {.matrix = &layer.ffn_down};
    case EncoderTensor::ffn_down_bias:
      return {.vector = &layer.ffn_down_bias};
    case EncoderTensor::ffn_norm:
      return {.vector = &layer.ffn_norm};
    case EncoderTensor::ffn_norm_bias:
      return {.vector = &layer.ffn_norm_bias};
  }
  return {};
}

Result<TensorType> matrix_type(const SafetensorsTensor& tensor) {
  switch (tensor.type) {
    case SafetensorsType::F32:
      return TensorType::F32;
    case SafetensorsType::F16:
      return TensorType::F16;
    case SafetensorsType::BF16:
      return TensorType::BF16;
    default:
      return Error{fmt::format("tensor '{}' is of type {}, wanted F32, F16 or BF16", printable(tensor.name),
                               to_string(tensor.type))};
  }
}

class Binder {
 public:
  Binder(const HfFolder& folder, const FoundTextEncoder& found, const TextEncoderHyperparameters& model)
      : folder_(folder), found_(found), model_(model) {}

  Result<EncoderWeights> bind() {
    EncoderLayer no_layer;
    weights_.layers.resize(model_.n_layers);
    for (auto rules : {found_.architecture->tensors, found_.architecture->projection_tensors}) {
      for (const EncoderTensorRule& rule : rules) {
        if (!is_of_layer(rule.role)) {
          EDGELLM_RETURN_IF_ERROR(bind(rule, 0, no_layer));
          continue;
        }
        for (uint32_t i = 0; i < model_.n_layers; ++i)
          EDGELLM_RETURN_IF_ERROR(bind(rule, i, weights_.layers[i]));
      }
    }
    if (model_.n_embedding != model_.n_hidden && !weights_.embedding_projection.data)
      return Error{
          fmt::format("embeddings of {} values and a hidden state of {} do not go together in the kind {}",
                      model_.n_embedding, model_.n_hidden, found_.architecture->name)};
    return std::move(weights_);
  }

 private:
  Status bind(const EncoderTensorRule& rule, uint32_t n_layer, EncoderLayer& layer) {
    std::vector<uint64_t> shape = encoder_tensor_shape(model_, rule.role);
    if (shape.empty()) return {};
    EDGELLM_ASSIGN_OR_RETURN(const SafetensorsTensor* tensor, find(rule, n_layer));
    EDGELLM_ASSIGN_OR_RETURN(TensorType type, matrix_type(*tensor));
    const bool transposed = found_.architecture->matrices_are_transposed && is_linear_weight(rule.role);
    std::vector<uint64_t> wanted = shape;
    if (transposed) std::swap(wanted[0], wanted[1]);
    if (tensor->shape != wanted)
      return Error{fmt::format("tensor '{}' has the shape [{}], config.json wants [{}]",
                               printable(tensor->name), fmt::join(tensor->shape, ", "),
                               fmt::join(wanted, ", "))};
    Place place = place_of(weights_, layer, rule.role);
    if (place.vector) {
      place.vector->resize(shape[0]);
      decode_values(tensor->type, tensor->data.data(), place.vector->data(), shape[0]);
      return {};
    }
    *place.matrix = {type, tensor->data.data(), shape[0], shape[1]};
    const size_t n_value_bytes = value_bytes(tensor->type);
    if (transposed) return turn(*place.matrix, n_value_bytes);
    if (reinterpret_cast<uintptr_t>(tensor->data.data()) % n_value_bytes) {
      EDGELLM_ASSIGN_OR_RETURN(std::byte * copy, buffer(tensor->data.size()));
      std::memcpy(copy, tensor->data.data(), tensor->data.size());
      place.matrix->data = copy;
    }
    return {};
  }

  Result<const SafetensorsTensor*> find(const EncoderTensorRule& rule, uint32_t layer) const {
    std::string name = encoder_tensor_name(found_.prefix, rule.name, layer);
    if (const SafetensorsTensor* tensor = folder_.find(name)) return tensor;
    if (!rule.older_name.empty())
      if (auto* tensor = folder_.find(encoder_tensor_name(found_.prefix, rule.older_name, layer)))
        return tensor;
    return Error{fmt::format("tensor '{}' is missing", name)};
  }

  Result<std::byte*> buffer(size_t n_bytes) {
    AlignedBuffer& copy = weights_.copies.emplace_back(n_bytes);
    if (!copy.data()) return Error{fmt::format("there is no memory for {} bytes of weights", n_bytes)};
    return copy.data();
  }

  // [inputs, outputs], as the matrix lies, into a copy of [outputs, inputs].
  Status turn(Matrix& matrix, size_t n_value_bytes) {
    EDGELLM_ASSIGN_OR_RETURN(std::byte * copy, buffer(matrix.n_rows * matrix.n_columns * n_value_bytes));
    auto* from = static_cast<const std::byte*>(matrix.data);
    for (size_t column = 0; column < matrix.n_columns; ++column)
      for (size_t row = 0; row < matrix.n_rows; ++row, from += n_value_bytes)
        std::memcpy(copy + (row * matrix.n_columns + column) * n_value_bytes, from, n_value_bytes);
    matrix.data = copy;
    return {};
  }

  const HfFolder& folder_;
  const FoundTextEncoder& found_;
  const TextEncoderHyperparameters& model_;
  EncoderWeights weights_;
};

}  // namespace

Result<EncoderWeights> bind_encoder_weights(const HfFolder& folder, const FoundTextEncoder& found,
                                            const TextEncoderHyperparameters& model) {
  return Binder(folder, found, model).bind();
}

}  // namespace edgellm
