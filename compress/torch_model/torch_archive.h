// LibTorch's archives of named tensors as files that are whole or not there.
#pragma once

#include <filesystem>
#include <torch/serialize.h>

#include "core/base/result.h"

namespace edgellm {

// Error when the file cannot be written, as on a full disk.
Status write_archive(torch::serialize::OutputArchive& archive, const std::filesystem::path& path);

}  // namespace edgellm
