// Conversion between a Hugging Face folder (config.json, safetensors, tokenizer.json) and a GGUF file, tensor
// by tensor from the mapped source. What a family's tensors and numbers are called on both sides is data in
// core/arch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

struct ConvertOptions {
  // Of the matrices: F32, F16, BF16, or (to GGUF) Q8_0. Absent: each tensor keeps its own type, quantized
  // ones become F16. Vectors (norms, biases) are always F32, as every GGUF has them.
  std::optional<TensorType> type = {};
  uint64_t most_shard_bytes = 0;  // of a safetensors file; 0: one file
  size_t n_threads = 0;           // 0: all usable cores
  Progress progress = {};
};

struct ConvertReport {
  std::string architecture;
  size_t n_tensors = 0;
  uint64_t n_bytes = 0;  // of the weights written
};

// Error for an unknown family, a tensor that is missing, unknown, of another shape than config.json says, or
// with values that are not finite or do not fit the type; for an output that exists (a folder) or is the
// input; and when interrupted. Nothing is left under the output's name then.
Result<ConvertReport> convert_hf_to_gguf(const std::filesystem::path& folder,
                                         const std::filesystem::path& output, const ConvertOptions& options);
Result<ConvertReport> convert_gguf_to_hf(const std::filesystem::path& gguf,
                                         const std::filesystem::path& output_folder,
                                         const ConvertOptions& options);

// One of the two: to GGUF from a folder, to a folder from a file.
Result<ConvertReport> convert_model(const std::filesystem::path& input, const std::filesystem::path& output,
                                    const ConvertOptions& options);

}  // namespace edgellm
