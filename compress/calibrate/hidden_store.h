// The hidden states of all calibration windows between two layers, in memory or in a file on disk. Windows
// are read and written by their numbers; a file is never mapped, so that its pages do not count as this
// process's memory.
#pragma once

#include <ATen/ATen.h>
#include <filesystem>
#include <optional>

#include "core/base/result.h"

namespace edgellm {

struct HiddenShape {
  int64_t n_windows = 0, n_tokens = 0, n_embedding = 0;
  at::ScalarType type = at::kBFloat16;  // as stored: bfloat16 or float

  uint64_t n_window_bytes() const {
    return uint64_t(n_tokens * n_embedding) * uint64_t(c10::elementSize(type));
  }
  uint64_t n_bytes() const { return uint64_t(n_windows) * n_window_bytes(); }
};

class HiddenStore {
 public:
  static Result<HiddenStore> in_memory(const HiddenShape& shape);
  // A new file that has no name, so that nothing of it is left behind, in `folder`.
  static Result<HiddenStore> in_file(const HiddenShape& shape, const std::filesystem::path& folder);

  HiddenStore(HiddenStore&& other) noexcept;
  HiddenStore& operator=(HiddenStore&& other) noexcept;
  ~HiddenStore();

  const HiddenShape& shape() const { return shape_; }
  bool is_in_memory() const { return memory_.defined(); }

  // Windows first .. first + n - 1: [n, n_tokens, n_embedding], float on the CPU.
  Result<at::Tensor> read(int64_t first, int64_t n) const;
  // hidden: [n, n_tokens, n_embedding], any floating type and device. Error when the disk is full.
  Status write(int64_t first, const at::Tensor& hidden);

  // All states as a file that is whole or not there, and back. read_from's Error: the file is missing or is
  // of another shape.
  Status save(const std::filesystem::path& path) const;
  Status read_from(const std::filesystem::path& path);

 private:
  HiddenStore(const HiddenShape& shape) : shape_(shape) {}
  Result<at::Tensor> read_stored(int64_t first, int64_t n) const;

  HiddenShape shape_;
  at::Tensor memory_;  // [n_windows, n_tokens, n_embedding]
  int descriptor_ = -1;
  std::filesystem::path folder_;
};

}  // namespace edgellm
