// What is left out of a model so that its file says so: whole layers, halves of layers, channels of
// feed-forward parts.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>

#include "core/arch/architecture.h"

namespace edgellm {

struct ModelShape {
  std::set<uint32_t> dropped_layers;
  std::set<uint32_t> dropped_attention, dropped_ffn;  // of layers whose other half stays
  std::map<uint32_t, uint32_t> n_feed_forward;        // channels that stay of parts that become narrower

  bool operator==(const ModelShape&) const = default;
  bool is_whole() const { return *this == ModelShape{}; }
  // Whether nothing of such a tensor stays. layer: -1 outside the layers.
  bool leaves_out(TensorRole role, int32_t layer) const;
  // The share that stays of such a tensor that is not left out.
  double share_left(TensorRole role, int32_t layer, const Hyperparameters& model) const;
};

// Of a feed-forward part that is left out alone: they add nothing, and stay for stock llama.cpp's sake
// (recipes/shaped_model.h).
inline constexpr uint32_t kChannelsOfNone = 32;

bool is_of_attention(TensorRole role);
bool is_of_feed_forward(TensorRole role);

nlohmann::json to_json(const ModelShape& shape);
// None where the value has another form, or names layers or channels that the model has not.
std::optional<ModelShape> shape_from_json(const nlohmann::json& value, const Hyperparameters& model);

}  // namespace edgellm
