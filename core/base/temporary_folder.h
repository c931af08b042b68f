// A folder of one's own in the folder for temporary files, removed with all it holds when the object ends.
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

#include "core/base/result.h"

namespace edgellm {

class TemporaryFolder {
 public:
  // Named edgellm-NAME- and random letters. Error when the folder for temporary files (TMPDIR, else /tmp) is
  // missing or cannot be written.
  static Result<TemporaryFolder> create(std::string_view name);
  // Removes what can be removed; what cannot stays.
  ~TemporaryFolder();
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }

  // Absolute, without links.
  const std::filesystem::path& path() const { return path_; }
  operator const std::filesystem::path&() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace edgellm
