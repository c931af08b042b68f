// The memory a run needs, counted from the same layouts the runtime reserves, so that a budget can be planned
// in bytes.
#pragma once

#include <cstdint>

#include "core/arch/architecture.h"
#include "core/base/metadata.h"
#include "runtime/graph/kv_cache.h"

namespace edgellm {

struct RunMemory {
  uint64_t weights = 0;      // mapped tensor data that is touched
  uint64_t kv_cache = 0;     // at the full context
  uint64_t activations = 0;  // buffers of graph and backend
  uint64_t process = 0;      // program and libraries, metadata, tokenizer, threads
  uint64_t total() const { return weights + kv_cache + activations + process; }
};

struct RunShape {
  size_t n_context = 0;  // 0: the default of a session
  KvType kv_type = KvType::f16;
  size_t n_batch = 512;
  size_t n_threads = 0;  // 0: one per usable core
  // Of the weights' bytes: an embedding table that is not the output head too. Only the rows of the context's
  // tokens are read, so that few of its pages become resident.
  uint64_t n_lookup_bytes = 0;
};

// Of n_lookup_bytes, what at most becomes resident.
uint64_t looked_up_bytes(uint64_t n_lookup_bytes, size_t n_context);

// n_weight_bytes: the tensors' data as in the file. The process part is an upper estimate from measurement
// (see run_memory.cpp); everything else is what load reserves.
RunMemory estimate_run_memory(const Hyperparameters& hyperparameters, const Metadata& metadata,
                              uint64_t n_weight_bytes, const RunShape& shape);

// The largest this process has been (VmHWM), in bytes; 0 where the system does not tell.
uint64_t peak_resident_bytes();

}  // namespace edgellm
