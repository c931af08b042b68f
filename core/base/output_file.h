// A file that appears under its name only when it is whole: written beside it under a temporary name, synced
// and renamed by commit(). Without commit() the temporary file is removed and whatever was under the name
// before is untouched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

class OutputFile {
 public:
  // A link is followed: what it names is replaced, the link stays. Error when something stands under the name
  // that is no regular file (a folder, a device), or when it cannot be written. What killed processes left
  // under their temporary names is removed.
  static Result<OutputFile> create(const std::filesystem::path& path);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  // Appends. A full disk is reported here or by commit().
  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text);
  // Overwrites bytes already written, `offset` bytes from the start.
  Status write_at(uint64_t offset, std::span<const std::byte> bytes);
  // Appends zero bytes up to a multiple of `alignment`.
  Status pad_to(size_t alignment);
  uint64_t n_written() const { return n_flushed_ + buffer_.size(); }

  Status commit();

 private:
  OutputFile() = default;
  Status flush();
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  uint64_t n_flushed_ = 0;
  std::vector<std::byte> buffer_;
};

// Error when `output` is one of the files `inputs`, through a link too: an input is never written over.
Status check_is_no_input(const std::filesystem::path& output, std::span<const std::filesystem::path> inputs);

// For before long work: the Error that writing `output` would end with, or check_is_no_input's. An empty path
// stands for no output.
Status check_output(const std::filesystem::path& output, std::span<const std::filesystem::path> inputs);

// The whole of a small text file under `path`, all or nothing.
Status write_text_file(const std::filesystem::path& path, std::string_view text);
// Error when missing, unreadable or over `most_bytes`.
Result<std::string> read_text_file(const std::filesystem::path& path,
                                   uint64_t most_bytes = uint64_t{1} << 32);

}  // namespace edgellm
