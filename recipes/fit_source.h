// The file that a fit reads its model from.
#pragma once

#include <filesystem>

#include "core/base/progress.h"
#include "core/base/result.h"

namespace edgellm {

// The model itself when it is a GGUF file. A Hugging Face folder is converted into the work folder, keeping
// the types of its weights, unless that was done before and the folder's files have not changed since.
Result<std::filesystem::path> fit_source(const std::filesystem::path& model,
                                         const std::filesystem::path& work, size_t n_threads,
                                         const Progress& progress);

}  // namespace edgellm
