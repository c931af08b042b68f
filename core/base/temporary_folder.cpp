#include "core/base/temporary_folder.h"

#include <cerrno>
#include <fmt/format.h>
#include <stdlib.h>

#include "core/base/write_failure.h"

namespace edgellm {

namespace fs = std::filesystem;

Result<TemporaryFolder> TemporaryFolder::create(std::string_view name) {
  std::error_code code;
  fs::path parent = fs::temp_directory_path(code);
  if (!code) parent = fs::canonical(parent, code);
  if (code) return Error{fmt::format("no folder for temporary files: {} (set TMPDIR)", code.message())};
  // mkdtemp puts letters in place of the six.
  std::string path = fmt::format("{}/edgellm-{}-{}", parent.string(), name, std::string(6, 'X'));
  if (!::mkdtemp(path.data()))
    return Error{fmt::format("cannot create a folder in {}: {}", parent.string(), write_failure(errno))};
  return TemporaryFolder(path);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace edgellm
