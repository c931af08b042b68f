// Changed tensors of a model, encoded and kept on disk until the whole model is written, so that no step
// holds more of it in memory than what it works on.
#pragma once

#include <deque>
#include <filesystem>
#include <span>
#include <string>

#include "core/base/mapped_file.h"
#include "core/base/thread_pool.h"
#include "recipes/edited_model.h"

namespace edgellm {

class EditStore {
 public:
  // The folder must exist; the mapped data is valid until the store ends.
  EditStore(std::filesystem::path folder, ThreadPool& threads)
      : folder_(std::move(folder)), threads_(threads) {}

  // values: [n_rows, n_columns], encoded into `type`. Error for rows that do not fit its blocks.
  Result<EditedTensor> encode(const std::string& tensor_name, std::span<const float> values, size_t n_columns,
                              TensorType type);
  // Bytes as they are.
  Result<EditedTensor> keep(const std::string& tensor_name, std::span<const std::byte> bytes, TensorType type,
                            std::vector<uint64_t> dimensions);

 private:
  std::filesystem::path folder_;
  ThreadPool& threads_;
  std::deque<MappedFile> files_;
};

}  // namespace edgellm
