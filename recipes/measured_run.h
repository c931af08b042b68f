// What a run of a model really takes, measured in a process of its own: `edgellm bench` as a child, so that
// nothing of this process counts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "core/base/result.h"
#include "runtime/graph/kv_cache.h"

namespace edgellm {

struct MeasuredRun {
  uint64_t peak_resident_bytes = 0;
  double prompt_tokens_per_second = 0;
  double generated_tokens_per_second = 0;
};

struct MeasuredRunOptions {
  std::filesystem::path program;  // edgellm itself
  KvType kv_type = KvType::f16;
  size_t n_threads = 0;
  size_t n_prompt = 256, n_generate = 32;  // the KV cache is filled with both

  // A whole context, so that the memory measured is that of a full one; but no longer than takes minutes.
  void fill(size_t n_context) { n_prompt = std::clamp<size_t>(n_context, n_generate + 1, 4096) - n_generate; }
};

// Error when the child fails: its last line says why.
Result<MeasuredRun> measure_run(const std::filesystem::path& model, const MeasuredRunOptions& options);

// Nothing for a model whose file takes more than half of the machine's memory: a run that reads its weights
// from the disk for every token takes hours.
Result<std::optional<MeasuredRun>> measure_run_in_memory(const std::filesystem::path& model,
                                                         const MeasuredRunOptions& options);

}  // namespace edgellm
