#include "core/base/output_folder.h"

#include <fmt/format.h>
#include <unistd.h>
#include <utility>

namespace edgellm {

namespace fs = std::filesystem;

Result<OutputFolder> OutputFolder::create(const fs::path& path) {
  std::error_code code;
  if (fs::exists(path, code) && !(fs::is_directory(path, code) && fs::is_empty(path, code)))
    return Error{fmt::format("cannot write {}: it exists already", path.string())};
  OutputFolder folder;
  // "out/" and "out" are the same folder; its temporary name must lie beside it, not inside.
  folder.path_ = path.has_filename() ? path : path.parent_path();
  folder.temporary_ = folder.path_;
  folder.temporary_ += fmt::format(".partial-{}", ::getpid());
  fs::remove_all(folder.temporary_, code);
  if (!fs::create_directory(folder.temporary_, code))
    return Error{fmt::format("cannot create folder {}: {}", path.string(), code.message())};
  return folder;
}

OutputFolder::OutputFolder(OutputFolder&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})) {}

OutputFolder::~OutputFolder() {
  std::error_code code;
  if (!temporary_.empty()) fs::remove_all(temporary_, code);
}

Status OutputFolder::commit() {
  std::error_code code;
  fs::rename(temporary_, path_, code);
  if (code) return Error{fmt::format("cannot create folder {}: {}", path_.string(), code.message())};
  temporary_.clear();
  return {};
}

Status check_free_space(const fs::path& path, uint64_t n_bytes) {
  std::error_code code;
  fs::path present = fs::absolute(path, code);
  while (!fs::exists(present, code) && present.has_relative_path()) present = present.parent_path();
  fs::space_info space = fs::space(present, code);
  // A file system that does not tell is tried.
  if (code || space.available >= n_bytes) return {};
  return Error{fmt::format("cannot write {}: {:.2f} GB are needed, {} has {:.2f} GB free", path.string(),
                           double(n_bytes) / 1e9, present.string(), double(space.available) / 1e9)};
}

}  // namespace edgellm
