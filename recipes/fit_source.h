// The file that a fit reads its model from.
#pragma once

#include <filesystem>
#include <memory>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/base/thread_pool.h"
#include "core/model_file/gguf.h"

namespace edgellm {

// The model itself when it is a GGUF file. A Hugging Face folder is converted into the work folder, keeping
// the types of its weights, unless that was done before and the folder's files have not changed since.
Result<std::filesystem::path> fit_source(const std::filesystem::path& model,
                                         const std::filesystem::path& work, size_t n_threads,
                                         const Progress& progress);

// The model in that file; an output matrix that repeats the embedding value for value is left out, which
// every family here takes for tied: its bytes say nothing.
struct FitSource {
  std::shared_ptr<GgufFile> file;
  bool is_output_left_out = false;
};
Result<FitSource> open_fit_source(const std::filesystem::path& path);

// Error names a tensor with a weight that is no finite number: stages of a fit look at samples of the rows
// only, and one such weight makes every figure NaN.
Status check_weights(const GgufFile& source, ThreadPool& threads, const Progress& progress);

}  // namespace edgellm
