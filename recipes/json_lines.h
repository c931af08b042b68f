// Logs of one JSON value a line, which a run appends to and a later one goes on with.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

// A line that a kill has torn is left out; nothing where there is no file.
std::vector<nlohmann::json> read_json_lines(const std::filesystem::path& path);
// With its end. Text that is cut within a character is mended, not refused.
std::string json_line(const nlohmann::json& value);
// On a line of its own, also after a torn one. Error when it cannot be written.
Status append_json_line(const std::filesystem::path& path, const nlohmann::json& value);

}  // namespace edgellm
