// The bytes that a fit has for weights: what was asked for, less what a run takes beside them.
#pragma once

#include <cstdint>
#include <optional>

#include "core/model_file/gguf.h"
#include "recipes/fit.h"
#include "recipes/plan_search.h"
#include "runtime/decode/run_memory.h"

namespace edgellm {

class FitBudget {
 public:
  // source must outlive it.
  FitBudget(const FitOptions& options, const GgufFile& source, const Hyperparameters& model,
            size_t n_threads);

  // Both for counted_bytes().
  uint64_t weight_bytes(KvType kv) const;
  const std::optional<LookupTensor>& lookup() const { return lookup_; }
  uint64_t most_lookup_bytes() const { return lookup_ ? lookup_->most_bytes : 0; }

  // Whether the type of the KV cache is the fit's to choose: under a memory limit, where none was given and
  // the heads fit both.
  bool leaves_kv_open() const;
  // The type that leaves the most for weights, of those that may be taken.
  KvType smallest_kv() const;
  // Error where the heads do not fit the type that was given.
  Status check_kv() const;
  RunMemory run_memory(uint64_t n_counted_bytes, KvType kv) const;
  // That even the smallest plan, of so many counted bytes, does not fit.
  Error too_small(uint64_t n_smallest, KvType kv) const;

 private:
  FitOptions options_;
  const GgufFile& source_;
  const Hyperparameters& model_;
  size_t n_threads_;
  std::optional<LookupTensor> lookup_;
};

}  // namespace edgellm
