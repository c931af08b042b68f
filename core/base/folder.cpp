#include "core/base/folder.h"

#include <fmt/format.h>

#include "core/base/write_failure.h"

namespace edgellm {

Status make_folder(const std::filesystem::path& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) return Error{fmt::format("cannot make {}: {}", path.string(), write_failure(code.value()))};
  return {};
}

}  // namespace edgellm
