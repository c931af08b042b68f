#include "core/model_file/hf_folder.h"

#include <fmt/format.h>
#include <set>

#include "core/base/output_file.h"
#include "core/model_file/printable.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostConfigBytes = 16 << 20;
constexpr uint64_t kMostIndexBytes = 256 << 20;
constexpr int kMostDepth = 64;

}  // namespace

Result<nlohmann::json> read_json_object(const fs::path& path, uint64_t most_bytes) {
  EDGELLM_ASSIGN_OR_RETURN(std::string text, read_text_file(path, most_bytes));
  bool too_deep = false;
  auto check_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep |= depth > kMostDepth;
    return !too_deep;
  };
  auto json = nlohmann::json::parse(text, check_depth, /*allow_exceptions=*/false);
  if (too_deep)
    return Error{fmt::format("cannot read {}: nested more than {} deep", path.string(), kMostDepth)};
  if (!json.is_object()) return Error{fmt::format("cannot read {}: it is no JSON object", path.string())};
  return json;
}

bool HfFolder::looks_like_one(const fs::path& path) {
  std::error_code code;
  return fs::is_directory(path, code) && fs::exists(path / "config.json", code);
}

Result<HfFolder> HfFolder::open(const fs::path& path) {
  HfFolder folder;
  folder.path_ = path;
  EDGELLM_ASSIGN_OR_RETURN(folder.config_, read_json_object(path / "config.json", kMostConfigBytes));
  auto wrong = [&](std::string_view what) {
    return Error{fmt::format("cannot read model folder {}: {}", path.string(), what)};
  };

  std::set<std::string> names;  // of the weight files
  std::unordered_map<std::string, std::string> weight_map;
  std::error_code code;
  fs::path index_path = path / "model.safetensors.index.json";
  if (fs::exists(index_path, code)) {
    EDGELLM_ASSIGN_OR_RETURN(nlohmann::json index, read_json_object(index_path, kMostIndexBytes));
    if (!index.contains("weight_map") || !index["weight_map"].is_object())
      return wrong("model.safetensors.index.json has no weight_map");
    for (const auto& [tensor, file] : index["weight_map"].items()) {
      if (!file.is_string()) return wrong("a file name in model.safetensors.index.json is no text");
      auto name = file.get<std::string>();
      if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos ||
          name == "..")
        return wrong(fmt::format("model.safetensors.index.json names the file '{}'", printable(name)));
      names.insert(name);
      weight_map.emplace(tensor, std::move(name));
    }
  } else if (fs::exists(path / "model.safetensors", code)) {
    names.insert("model.safetensors");
  } else {
    return wrong("it has neither model.safetensors nor model.safetensors.index.json");
  }

  for (const std::string& name : names) {
    EDGELLM_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(path / name));
    for (const SafetensorsTensor& tensor : file.tensors()) {
      if (!folder.file_of_.emplace(tensor.name, folder.files_.size()).second)
        return wrong(fmt::format("tensor '{}' is in two files", printable(tensor.name)));
      auto listed = weight_map.find(tensor.name);
      if (!weight_map.empty() && (listed == weight_map.end() || listed->second != name))
        return wrong(
            fmt::format("tensor '{}' of {} is not there in the index", printable(tensor.name), name));
    }
    folder.files_.push_back(std::move(file));
  }
  for (const auto& [tensor, name] : weight_map)
    if (!folder.file_of_.contains(tensor))
      return wrong(fmt::format("tensor '{}' of the index is not in {}", printable(tensor), name));
  return folder;
}

const SafetensorsTensor* HfFolder::find(std::string_view name) const {
  std::string key(name);
  auto found = file_of_.find(key);
  return found == file_of_.end() ? nullptr : files_[found->second].find(key);
}

uint64_t HfFolder::n_file_bytes() const {
  uint64_t n_bytes = 0;
  for (const SafetensorsFile& file : files_) n_bytes += file.n_file_bytes();
  return n_bytes;
}

void HfFolder::give_back(const SafetensorsTensor& tensor) const {
  auto found = file_of_.find(tensor.name);
  if (found != file_of_.end()) files_[found->second].give_back(tensor);
}

}  // namespace edgellm
