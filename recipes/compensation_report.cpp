#include "recipes/compensation_report.h"

namespace edgellm {

nlohmann::json to_json(const CompensatedTensor& t) {
  return {{"name", t.name},
          {"type", to_string(t.type)},
          {"compensated", t.is_compensated},
          {"output_error", t.error},
          {"output_error_nearest", t.nearest_error}};
}

nlohmann::json to_json(std::span<const CompensatedTensor> tensors) {
  nlohmann::json all = nlohmann::json::array();
  for (const CompensatedTensor& t : tensors) all.push_back(to_json(t));
  return all;
}

std::optional<CompensatedTensor> compensated_tensor_from(const nlohmann::json& json) {
  try {
    const TensorTypeInfo* type = find_tensor_type(json.at("type").get<std::string>());
    if (!type) return std::nullopt;
    CompensatedTensor t;
    t.name = json.at("name");
    t.type = type->type;
    t.is_compensated = json.at("compensated");
    t.error = json.at("output_error");
    t.nearest_error = json.at("output_error_nearest");
    return t;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace edgellm
