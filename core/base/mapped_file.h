// A file mapped read-only into memory. Pages are read when touched and may be given back at any time.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "core/base/result.h"

namespace edgellm {

class MappedFile {
 public:
  // Error when the file is missing, unreadable, empty or no regular file.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  size_t n_bytes() const { return n_bytes_; }
  std::span<const std::byte> bytes() const { return {data_, n_bytes_}; }

  // Tells the kernel that `range` (inside bytes()) is wanted soon.
  void will_need(std::span<const std::byte> range) const;
  // Gives the resident pages that lie wholly inside `range` back; a later touch reads them again.
  void give_back(std::span<const std::byte> range) const;

 private:
  MappedFile() = default;
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t n_bytes_ = 0;
};

// The same for part of any mapping of a file, whoever holds it.
void give_back_mapped(std::span<const std::byte> part);

}  // namespace edgellm
