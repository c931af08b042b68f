// A Hugging Face model folder: config.json and the weights in one or several safetensors files.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/result.h"
#include "core/model_file/safetensors.h"

namespace edgellm {

class HfFolder {
 public:
  // Reads config.json, and model.safetensors or all files that model.safetensors.index.json names. Error when
  // a file is missing, the index and the files disagree, or a name in the index leaves the folder.
  static Result<HfFolder> open(const std::filesystem::path& folder);
  // Whether `path` is such a folder by the look of it: it has a config.json.
  static bool looks_like_one(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const nlohmann::json& config() const { return config_; }
  const std::vector<SafetensorsFile>& files() const { return files_; }
  const SafetensorsTensor* find(std::string_view name) const;  // null if absent
  uint64_t n_file_bytes() const;                               // of the weights
  void give_back(const SafetensorsTensor& tensor) const;

 private:
  HfFolder() = default;
  std::filesystem::path path_;
  nlohmann::json config_;
  std::vector<SafetensorsFile> files_;
  std::unordered_map<std::string, size_t> file_of_;  // of each tensor
};

// A JSON object out of a file; Error when it is no JSON, no object, or nested absurdly deep.
Result<nlohmann::json> read_json_object(const std::filesystem::path& path, uint64_t most_bytes);

}  // namespace edgellm
