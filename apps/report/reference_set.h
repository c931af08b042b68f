// Somebody else's published figures, shown beside the measured ones under their name. The format is in
// docs/formats.md.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct ReferenceSpeed {
  std::string model, method;
  std::optional<double> n_bytes, n_output_tokens;
  std::map<std::string, double> seconds_per_token;  // by device: "cpu", "gpu", "npu"
};

struct ReferenceAccuracy {
  std::string model, method;
  std::optional<double> n_bytes;
  nlohmann::json figures;  // as in an eval's record
};

struct ReferenceSet {
  std::string name, about;
  std::vector<std::string> notes;
  std::vector<ReferenceSpeed> speed;
  std::vector<ReferenceAccuracy> accuracy;
};

// Error, with the file, for a newer schema and for what is missing or of the wrong type.
Result<ReferenceSet> read_reference_set(const std::filesystem::path& path);
Result<ReferenceSet> parse_reference_set(std::string_view text, const std::string& file);

// The set that comes with the program: the figures of the source poster (apps/report/data/poster.json).
const ReferenceSet& poster_reference_set();

}  // namespace edgellm
