#include "core/base/folder.h"

#include <fmt/format.h>

namespace edgellm {

Status make_folder(const std::filesystem::path& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) return Error{fmt::format("cannot make {}: {}", path.string(), code.message())};
  return {};
}

}  // namespace edgellm
