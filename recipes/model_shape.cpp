#include "recipes/model_shape.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace edgellm {

bool is_of_attention(TensorRole role) {
  switch (role) {
    case TensorRole::attention_norm:
    case TensorRole::attention_q:
    case TensorRole::attention_k:
    case TensorRole::attention_v:
    case TensorRole::attention_output:
    case TensorRole::attention_q_bias:
    case TensorRole::attention_k_bias:
    case TensorRole::attention_v_bias:
    case TensorRole::attention_output_bias:
      return true;
    default:
      return false;
  }
}

bool is_of_feed_forward(TensorRole role) {
  return to_string(role).starts_with("ffn");
}

bool ModelShape::leaves_out(TensorRole role, int32_t layer) const {
  if (layer < 0) return false;
  const auto number = uint32_t(layer);
  return dropped_layers.contains(number) || (dropped_attention.contains(number) && is_of_attention(role)) ||
         (dropped_ffn.contains(number) && is_of_feed_forward(role));
}

double ModelShape::share_left(TensorRole role, int32_t layer, const Hyperparameters& model) const {
  if (layer < 0 ||
      (role != TensorRole::ffn_gate && role != TensorRole::ffn_up && role != TensorRole::ffn_down))
    return 1;
  auto narrow = n_feed_forward.find(uint32_t(layer));
  return narrow == n_feed_forward.end()
             ? 1
             : double(narrow->second) / double(model.n_feed_forward[size_t(layer)]);
}

nlohmann::json to_json(const ModelShape& shape) {
  nlohmann::json widths = nlohmann::json::object();
  for (auto [layer, n_channels] : shape.n_feed_forward) widths[std::to_string(layer)] = n_channels;
  return {{"dropped_layers", shape.dropped_layers},
          {"dropped_attention", shape.dropped_attention},
          {"dropped_ffn", shape.dropped_ffn},
          {"ffn_widths", std::move(widths)}};
}

std::optional<ModelShape> shape_from_json(const nlohmann::json& value, const Hyperparameters& model) {
  ModelShape shape;
  try {
    shape.dropped_layers = value.at("dropped_layers").get<std::set<uint32_t>>();
    shape.dropped_attention = value.at("dropped_attention").get<std::set<uint32_t>>();
    shape.dropped_ffn = value.at("dropped_ffn").get<std::set<uint32_t>>();
    for (const auto& [layer, n_channels] : value.at("ffn_widths").items())
      shape.n_feed_forward[uint32_t(std::stoul(layer))] = n_channels.get<uint32_t>();
  } catch (const std::exception&) {
    return std::nullopt;
  }
  auto is_layer = [&](uint32_t layer) { return layer < model.n_layers; };
  for (const auto& layers : {shape.dropped_layers, shape.dropped_attention, shape.dropped_ffn})
    if (!std::all_of(layers.begin(), layers.end(), is_layer)) return std::nullopt;
  for (auto [layer, n_channels] : shape.n_feed_forward)
    if (!is_layer(layer) || !n_channels || n_channels > model.n_feed_forward[layer]) return std::nullopt;
  if (shape.dropped_layers.size() >= model.n_layers) return std::nullopt;
  return shape;
}

}  // namespace edgellm
