// A folder that appears under its name only when it is whole: filled beside it under a temporary name and
// renamed by commit(). Without commit() what was written is removed.
#pragma once

#include <filesystem>

#include "core/base/result.h"

namespace edgellm {

class OutputFolder {
 public:
  // Error when something stands under the name already (an empty folder may), or when it cannot be made.
  static Result<OutputFolder> create(const std::filesystem::path& path);

  OutputFolder(OutputFolder&& other) noexcept;
  OutputFolder& operator=(OutputFolder&&) = delete;
  ~OutputFolder();

  // Where to write until then.
  const std::filesystem::path& temporary() const { return temporary_; }
  Status commit();

 private:
  OutputFolder() = default;
  std::filesystem::path path_, temporary_;
};

// Error when the file system of `path` (which need not exist yet) has less room than n_bytes: it says how
// much is needed and how much there is.
Status check_free_space(const std::filesystem::path& path, uint64_t n_bytes);

}  // namespace edgellm
