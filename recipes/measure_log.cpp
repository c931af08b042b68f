#include "recipes/measure_log.h"

#include <nlohmann/json.hpp>

#include "recipes/json_lines.h"

namespace edgellm {

MeasureLog::MeasureLog(const std::filesystem::path& path) : path_(path) {
  for (const auto& row : read_json_lines(path)) {
    if (!row.is_object() || !row.contains("key") || !row.contains("kl") || !row["kl"].is_number()) continue;
    known_[row["key"].get<std::string>()] = row["kl"].get<double>();
  }
}

std::optional<double> MeasureLog::find(const std::string& key) const {
  auto found = known_.find(key);
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

Status MeasureLog::add(const std::string& key, double kl) {
  known_[key] = kl;
  return append_json_line(path_, {{"key", key}, {"kl", kl}});
}

}  // namespace edgellm
