#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/arch/text_encoder_architecture.h"

namespace edgellm {
namespace {

// Far above every published encoder, and small enough that products of two or three stay inside 64 bits.
constexpr int64_t kMostLayers = 1024;
constexpr int64_t kMostWidth = 1 << 18;
constexpr int64_t kMostFeedForward = 1 << 20;
constexpr int64_t kMostVocabulary = 1 << 24;
constexpr int64_t kMostPositions = 1 << 24;
constexpr int64_t kMostSegments = 1 << 16;
constexpr int64_t kMostHeadWidth = 4096;

// Hugging Face's names.
constexpr ActivationName kActivations[] = {
    {"gelu", PointwiseActivation::gelu},           {"gelu_python", PointwiseActivation::gelu},
    {"gelu_new", PointwiseActivation::gelu_tanh},  {"gelu_pytorch_tanh", PointwiseActivation::gelu_tanh},
    {"gelu_fast", PointwiseActivation::gelu_tanh}, {"relu", PointwiseActivation::relu},
};

Error wrong(std::string_view key, std::string_view what) {
  return Error{fmt::format("config.json: '{}' {}", key, what)};
}

// Null for a key that is absent or null.
const nlohmann::json* find(const nlohmann::json& config, std::string_view key) {
  auto found = config.find(key);
  return found == config.end() || found->is_null() ? nullptr : &*found;
}

Result<uint32_t> count(const nlohmann::json& config, std::string_view key, int64_t most) {
  const nlohmann::json* value = find(config, key);
  if (!value) return wrong(key, fmt::format("is missing, wanted 1 to {}", most));
  bool fits = value->is_number_integer() && *value >= 1 && *value <= most;
  if (!fits) return wrong(key, fmt::format("is {}, wanted 1 to {}", value->dump().substr(0, 80), most));
  return value->get<uint32_t>();
}

Result<uint32_t> count_or(const nlohmann::json& config, std::string_view key, int64_t most,
                          uint32_t otherwise) {
  if (!find(config, key)) return otherwise;
  return count(config, key, most);
}

Result<PointwiseActivation> activation(const nlohmann::json& config,
                                       const TextEncoderArchitecture& architecture) {
  std::string name = "gelu";
  if (const nlohmann::json* value = find(config, "hidden_act")) {
    if (!value->is_string()) return wrong("hidden_act", "is no text");
    name = value->get<std::string>();
  }
  // An explanation may follow the name.
  name = name.substr(0, name.find(' '));
  for (const ActivationName& each : architecture.activations)
    if (each.name == name) return each.activation;
  std::vector<std::string_view> known;
  for (const ActivationName& each : kActivations) {
    if (each.name == name) return each.activation;
    known.push_back(each.name);
  }
  return wrong("hidden_act",
               fmt::format("is '{}', wanted one of {}", name.substr(0, 80), fmt::join(known, ", ")));
}

// What another graph would be needed for.
Status check_graph(const nlohmann::json& config) {
  const nlohmann::json* positions = find(config, "position_embedding_type");
  if (positions && *positions != "absolute")
    return wrong("position_embedding_type",
                 fmt::format("is {}, wanted \"absolute\"", positions->dump().substr(0, 80)));
  const nlohmann::json* decoder = find(config, "is_decoder");
  if (decoder && *decoder != false) return wrong("is_decoder", "is true: that model is no encoder");
  return {};
}

Status read_positions(const nlohmann::json& config, const TextEncoderArchitecture& architecture,
                      TextEncoderHyperparameters& model) {
  EDGELLM_ASSIGN_OR_RETURN(model.n_positions, count(config, "max_position_embeddings", kMostPositions));
  if (!architecture.positions_follow_padding) return {};
  model.padding_id = 1;
  if (const nlohmann::json* value = find(config, "pad_token_id")) {
    bool fits = value->is_number_integer() && *value >= 0 && *value < model.n_vocabulary;
    if (!fits)
      return wrong("pad_token_id",
                   fmt::format("is {}, wanted 0 to {}", value->dump().substr(0, 80), model.n_vocabulary - 1));
    model.padding_id = value->get<int32_t>();
  }
  model.first_position = uint32_t(model.padding_id) + 1;
  if (model.first_position >= model.n_positions)
    return wrong("max_position_embeddings",
                 fmt::format("is {}, wanted more than {}: positions begin after the "
                             "padding id",
                             model.n_positions, model.first_position));
  return {};
}

}  // namespace

Result<TextEncoderHyperparameters> read_text_encoder_hyperparameters(
    const nlohmann::json& config, const TextEncoderArchitecture& architecture) {
  EDGELLM_RETURN_IF_ERROR(check_graph(config));
  TextEncoderHyperparameters model;
  EDGELLM_ASSIGN_OR_RETURN(model.n_layers, count(config, "num_hidden_layers", kMostLayers));
  EDGELLM_ASSIGN_OR_RETURN(model.n_hidden, count(config, "hidden_size", kMostWidth));
  EDGELLM_ASSIGN_OR_RETURN(model.n_heads, count(config, "num_attention_heads", kMostWidth));
  EDGELLM_ASSIGN_OR_RETURN(model.n_feed_forward, count(config, "intermediate_size", kMostFeedForward));
  EDGELLM_ASSIGN_OR_RETURN(model.n_vocabulary, count(config, "vocab_size", kMostVocabulary));
  EDGELLM_ASSIGN_OR_RETURN(model.n_segments, count_or(config, "type_vocab_size", kMostSegments, 2));
  model.n_embedding = model.n_hidden;
  if (!architecture.embedding_width_key.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(model.n_embedding,
                             count_or(config, architecture.embedding_width_key, kMostWidth, model.n_hidden));
  }
  EDGELLM_RETURN_IF_ERROR(read_positions(config, architecture, model));
  EDGELLM_ASSIGN_OR_RETURN(model.activation, activation(config, architecture));
  if (model.n_hidden % model.n_heads || model.head_width() > kMostHeadWidth)
    return wrong("num_attention_heads",
                 fmt::format("is {}, wanted a divisor of the {} of hidden_size into at "
                             "most {}",
                             model.n_heads, model.n_hidden, kMostHeadWidth));
  if (const nlohmann::json* value = find(config, "layer_norm_eps")) {
    double epsilon = value->is_number() ? value->get<double>() : -1;
    if (!(epsilon >= 0 && epsilon <= 1))
      return wrong("layer_norm_eps", fmt::format("is {}, wanted 0 to 1", value->dump().substr(0, 80)));
    model.norm_epsilon = float(epsilon);
  }
  return model;
}

}  // namespace edgellm
