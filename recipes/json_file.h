// JSON files that stages of long work leave for a later run of the same command.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/output_file.h"

namespace edgellm {

// The file's value; nothing when it is missing, damaged or not of this form.
template <class T>
std::optional<T> read_json(const std::filesystem::path& path) {
  auto text = read_text_file(path);
  if (!text.ok()) return std::nullopt;
  try {
    return nlohmann::json::parse(*text).get<T>();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace edgellm
