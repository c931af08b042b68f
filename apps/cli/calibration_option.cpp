#include "apps/cli/calibration_option.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace edgellm {

std::string calibration_sources_text(const nlohmann::json& calibration) {
  if (calibration["drawn_from_model"].get<bool>())
    return "drawn from the model itself (give --calibrate for your own)";
  std::string text;
  for (const auto& source : calibration["sources"]) {
    text += (text.empty() ? "from " : ", ") + source["name"].get<std::string>();
    if (source.contains("weight")) text += fmt::format(" (weight {:g})", source["weight"].get<double>());
  }
  return text;
}

}  // namespace edgellm
