// Folders that work is kept in.
#pragma once

#include <filesystem>

#include "core/base/result.h"

namespace edgellm {

// Makes it and those it lies in, where they are missing. Error when that fails, or when something else stands
// under the name.
Status make_folder(const std::filesystem::path& path);

}  // namespace edgellm
