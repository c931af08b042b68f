// What rounding with feedback did to each tensor, as reports and the log of a run that can be gone on with
// have it: docs/formats.md, "The report of a quantize".
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "recipes/compress/compensated_tensors.h"

namespace edgellm {

nlohmann::json to_json(const CompensatedTensor& tensor);
nlohmann::json to_json(std::span<const CompensatedTensor> tensors);
nlohmann::json to_json(const TrainedLayer& layer);
nlohmann::json to_json(std::span<const TrainedLayer> layers);
// Nothing where `json` is not what to_json gives.
std::optional<CompensatedTensor> compensated_tensor_from(const nlohmann::json& json);
std::optional<TrainedLayer> trained_layer_from(const nlohmann::json& json);

}  // namespace edgellm
