// What training on the grid did, as reports have it: docs/formats.md, "The report of a quantize".
#pragma once

#include <nlohmann/json.hpp>

#include "recipes/compress/trained_tensors.h"

namespace edgellm {

nlohmann::json to_json(const GridTraining& training);

}  // namespace edgellm
