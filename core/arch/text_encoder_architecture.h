// Text encoders as data: one TextEncoderArchitecture per family says what config.json and the tensors are
// called. All families share one graph: embeddings, layer norm, then layers of attention and feed-forward,
// each followed by a residual sum and a layer norm (Devlin et al., arXiv 1810.04805).
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

enum class PointwiseActivation { none, gelu, gelu_tanh, relu };

// What a tensor does. Matrices are [outputs, inputs] with a bias of [outputs].
enum class EncoderTensor {
  word_embedding,             // [vocabulary, embedding]
  position_embedding,         // [positions, embedding]
  segment_embedding,          // [segments, embedding]
  embedding_norm,             // [embedding]
  embedding_norm_bias,        //
  embedding_projection,       // [hidden, embedding], where the two differ
  embedding_projection_bias,  // [hidden]
  attention_q,
  attention_q_bias,
  attention_k,
  attention_k_bias,
  attention_v,
  attention_v_bias,
  attention_output,
  attention_output_bias,
  attention_norm,
  attention_norm_bias,
  ffn_up,
  ffn_up_bias,
  ffn_down,
  ffn_down_bias,
  ffn_norm,
  ffn_norm_bias,
};

// One tensor; "{}" in a name stands for the layer.
struct EncoderTensorRule {
  EncoderTensor role;
  std::string_view name;             // what follows the prefix
  std::string_view older_name = {};  // the same tensor in older files
};

struct ActivationName {
  std::string_view name;  // in config.json
  PointwiseActivation activation;
};

struct TextEncoderArchitecture {
  std::string_view name;  // for messages
  std::span<const std::string_view> model_types;
  std::string_view class_prefix;  // of "architectures", where config.json has no model_type
  // What may stand before every tensor's name; the first with which the word embedding is found is taken.
  std::span<const std::string_view> prefixes;
  std::span<const EncoderTensorRule> tensors;
  std::span<const EncoderTensorRule> projection_tensors = {};  // from the embedding to the hidden state
  bool matrices_are_transposed = false;                        // linear layers lie as [inputs, outputs]
  std::string_view embedding_width_key = {};         // of config.json; absent: as wide as the hidden state
  bool positions_follow_padding = false;             // the first token is at position padding id + 1
  std::span<const ActivationName> activations = {};  // names with another meaning than with Hugging Face
};

std::span<const TextEncoderArchitecture* const> text_encoder_architectures();

// The family and the prefix of its tensors, by config.json's model_type or architectures, or where it names
// neither by the tensors alone. Errors say which kinds are known, or which tensor is missing.
struct FoundTextEncoder {
  const TextEncoderArchitecture* architecture;
  std::string_view prefix;
};
Result<FoundTextEncoder> find_text_encoder(const nlohmann::json& config,
                                           const std::function<bool(const std::string&)>& has_tensor);

struct TextEncoderHyperparameters {
  uint32_t n_layers = 0;
  uint32_t n_hidden = 0;
  uint32_t n_heads = 0;
  uint32_t n_feed_forward = 0;
  uint32_t n_embedding = 0;
  uint32_t n_vocabulary = 0;
  uint32_t n_positions = 0;
  uint32_t n_segments = 0;
  uint32_t first_position = 0;  // of a sequence's first token
  // A token of this id takes the position before the first and counts for none; -1: there is no such id.
  int32_t padding_id = -1;
  float norm_epsilon = 1e-12f;
  PointwiseActivation activation = PointwiseActivation::gelu;

  uint32_t head_width() const { return n_hidden / n_heads; }
  uint32_t most_tokens() const { return n_positions - first_position; }
};

// Every number is checked against a limit, so that products of two of them fit 64 bits.
Result<TextEncoderHyperparameters> read_text_encoder_hyperparameters(
    const nlohmann::json& config, const TextEncoderArchitecture& architecture);

// [outputs, inputs] of a matrix, [n] of a vector, whatever way the file has it; empty when the model has no
// such tensor.
std::vector<uint64_t> encoder_tensor_shape(const TextEncoderHyperparameters& model, EncoderTensor role);
// Whether the tensor is the weight of a linear layer, which some files have transposed.
bool is_linear_weight(EncoderTensor role);
bool is_of_layer(EncoderTensor role);
std::string encoder_tensor_name(std::string_view prefix, std::string_view name, uint32_t layer);

}  // namespace edgellm
