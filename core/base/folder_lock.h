// A folder that one process at a time works in: the file "lock" in it, which the system gives free when the
// process ends, however it ends.
#pragma once

#include <filesystem>
#include <utility>

#include "core/base/result.h"

namespace edgellm {

class FolderLock {
 public:
  // Error when another holder has it. Where the file system knows no locks, none is held and nothing refused.
  static Result<FolderLock> take(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  FolderLock& operator=(FolderLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }

 private:
  explicit FolderLock(int file) : file_(file) {}
  int file_;
};

}  // namespace edgellm
