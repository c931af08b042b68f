// What training the layers of a model one by one did, for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace edgellm {

// layers: as reports have them (docs/formats.md), at least one. Lines with an end each, warnings among them.
std::string trained_layers_text(const nlohmann::json& layers);

}  // namespace edgellm
