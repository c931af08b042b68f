// For tests: the folders of what they read but do not make. Each is where an environment variable says, or
// where it lies for somebody who set none; it need not exist.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace edgellm {

// The variable's value, or `otherwise` when it is not set or empty.
inline std::filesystem::path folder_from(const char* variable, const std::filesystem::path& otherwise) {
  const char* given = std::getenv(variable);
  return given && *given ? std::filesystem::path(given) : otherwise;
}

// This repository; ctest sets the variable.
inline std::filesystem::path source_folder() {
  return folder_from("EDGELLM_SOURCE_DIR", ".");
}

// Reference data beside the repository: golden/, data/, tools/.
inline std::filesystem::path shared_folder() {
  return folder_from("EDGELLM_SHARED", source_folder() / ".." / "shared");
}

// Real models.
inline std::filesystem::path models_folder() {
  return folder_from("EDGELLM_MODELS", folder_from("HOME", ".") / ".cache" / "edgellm" / "models");
}

}  // namespace edgellm
