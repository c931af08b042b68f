#include "recipes/compensation_report.h"

#include <cmath>

namespace edgellm {

std::vector<std::string> Compensation::changed() const {
  std::vector<std::string> all = scaled;
  for (const TrainedLayer& layer : layers) all.insert(all.end(), layer.changed.begin(), layer.changed.end());
  return all;
}

nlohmann::json to_json(const CompensatedTensor& t) {
  return {{"name", t.name},
          {"type", to_string(t.type)},
          {"compensated", t.is_compensated},
          {"damping", t.damping},
          {"damping_raised", t.is_damping_raised},
          {"output_error", t.error},
          {"output_error_nearest", t.nearest_error}};
}

nlohmann::json to_json(const TrainedLayer& l) {
  nlohmann::json stopped;
  if (!l.stopped.empty()) stopped = l.stopped;
  return {{"layer", l.layer},           {"held_error_before", l.held_before},
          {"held_error", l.held_after}, {"best_epoch", l.best_epoch},
          {"stopped", stopped},         {"changed", l.changed}};
}

namespace {

template <class T>
nlohmann::json list_of(std::span<const T> items) {
  nlohmann::json all = nlohmann::json::array();
  for (const T& item : items) all.push_back(to_json(item));
  return all;
}

}  // namespace

nlohmann::json to_json(std::span<const CompensatedTensor> tensors) {
  return list_of(tensors);
}

nlohmann::json to_json(std::span<const TrainedLayer> layers) {
  return list_of(layers);
}

std::optional<TrainedLayer> trained_layer_from(const nlohmann::json& json) {
  try {
    TrainedLayer l;
    l.layer = json.at("layer");
    // A number that is none is kept as null.
    auto error = [&](const char* key) {
      return json.at(key).is_null() ? std::nan("") : json.at(key).get<double>();
    };
    l.held_before = error("held_error_before");
    l.held_after = error("held_error");
    l.best_epoch = json.at("best_epoch");
    if (json.at("stopped").is_string()) l.stopped = json["stopped"];
    l.changed = json.at("changed").get<std::vector<std::string>>();
    return l;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::optional<CompensatedTensor> compensated_tensor_from(const nlohmann::json& json) {
  try {
    const TensorTypeInfo* type = find_tensor_type(json.at("type").get<std::string>());
    if (!type) return std::nullopt;
    CompensatedTensor t;
    t.name = json.at("name");
    t.type = type->type;
    t.is_compensated = json.at("compensated");
    t.damping = json.at("damping");
    t.is_damping_raised = json.at("damping_raised");
    t.error = json.at("output_error");
    t.nearest_error = json.at("output_error_nearest");
    return t;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace edgellm
