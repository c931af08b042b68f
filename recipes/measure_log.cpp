#include "recipes/measure_log.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace edgellm {

MeasureLog::MeasureLog(const std::filesystem::path& path) : path_(path) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    auto row = nlohmann::json::parse(line, nullptr, false);
    if (!row.is_object() || !row.contains("key") || !row.contains("kl") || !row["kl"].is_number()) continue;
    known_[row["key"].get<std::string>()] = row["kl"].get<double>();
  }
  out_.open(path, std::ios::app);
}

std::optional<double> MeasureLog::find(const std::string& key) const {
  auto found = known_.find(key);
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

Status MeasureLog::add(const std::string& key, double kl) {
  known_[key] = kl;
  out_ << nlohmann::json{{"key", key}, {"kl", kl}}.dump() << std::endl;
  if (!out_) return Error{fmt::format("cannot write {}", path_.string())};
  return {};
}

}  // namespace edgellm
