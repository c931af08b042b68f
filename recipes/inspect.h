// What is inside a model: its tensors by role and by type, out of a GGUF file or a Hugging Face folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/arch/architecture.h"
#include "core/base/metadata.h"
#include "core/base/result.h"

namespace edgellm {

struct ModelContents {
  struct Tensor {
    std::string name, type, role;      // role: "other" for a tensor the family does not know
    std::vector<uint64_t> dimensions;  // innermost first
    uint64_t n_bytes = 0, n_values = 0;
  };
  struct Share {
    size_t n_tensors = 0;
    uint64_t n_bytes = 0, n_values = 0;
    double bits_per_weight() const { return n_values ? 8.0 * double(n_bytes) / double(n_values) : 0; }
  };
  std::string format;  // "GGUF v3", "Hugging Face folder"
  std::string architecture;
  uint64_t n_file_bytes = 0;
  Metadata metadata;  // of a folder: what conversion would derive from config.json
  std::vector<Tensor> tensors;
  Share all;
  std::map<std::string, Share> by_role, by_type;
  // Absent for a family that is not known: the tensors can be shown all the same.
  std::optional<Hyperparameters> hyperparameters;
  std::string why_no_hyperparameters;
};

Result<ModelContents> inspect_model(const std::filesystem::path& path);

}  // namespace edgellm
