// What rounding with feedback and training did to the layers of a model, for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace edgellm {

// layers: as reports have them (docs/formats.md), at least one. Lines with an end each, warnings among them.
std::string trained_layers_text(const nlohmann::json& layers);

// training: that of the same reports. A line where it ended early; else nothing.
std::string ended_training_text(const nlohmann::json& training);

// tensors: those of the same reports. A warning where the text told too little of their inputs; else nothing.
std::string raised_damping_text(const nlohmann::json& tensors);

}  // namespace edgellm
