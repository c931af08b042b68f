// edgellm synthesize: a Hugging Face folder of a published model's shape with random weights, for measuring
// time, memory and disk where the model itself cannot be had.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/blocks/tensor_type.h"
#include "recipes/model_shapes.h"

namespace edgellm {

struct SynthesizeOptions {
  ModelShape shape = {};
  std::filesystem::path output;
  std::filesystem::path tokenizer = {};  // model to take it from; empty: see find_tokenizer
  TensorType type = TensorType::BF16;    // of all tensors; BF16 or F16
  uint32_t n_layers = 0;                 // fewer than the shape's; 0: all
  uint64_t seed = 1;
  size_t n_threads = 0;                       // 0: all usable cores
  uint64_t most_shard_bytes = 5'000'000'000;  // of a file, as the hub's programs cut
};

struct SynthesizeReport {
  uint64_t n_parameters = 0, n_bytes = 0;  // of the weights
  size_t n_tensors = 0;
  std::filesystem::path tokenizer;           // whose it is
  size_t n_source_tokens = 0, n_tokens = 0;  // used ones, before and after it was fitted
};

// The same options give the same bytes, whatever the number of threads. Error when the output exists, when
// the disk has no room for it, when there is no tokenizer that can be fitted, and when interrupted; nothing
// is left under the output's name then.
Result<SynthesizeReport> synthesize(const SynthesizeOptions& options, const Progress& progress);

}  // namespace edgellm
