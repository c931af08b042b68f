#include "runtime/decode/run_memory.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "core/base/thread_pool.h"
#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/decode/session.h"
#include "runtime/graph/graph_buffers.h"
#include "runtime/kernels/kernels.h"

namespace edgellm {
namespace {

// Measured with `edgellm run` on x86-64: program, libraries and allocator, without what grows with the
// vocabulary.
constexpr uint64_t kProgramBytes = 5 << 20;
constexpr uint64_t kThreadBytes = 64 << 10;
// The strings of the vocabulary stand in the mapped header, in the metadata and in the tokenizer's tables:
// measured bytes for every string and for every character of it (SmolLM2 17 MB in all, Gemma 3 40 MB,
// Qwen 2.5 42 MB).
constexpr uint64_t kBytesPerString = 94;
constexpr uint64_t kBytesPerCharacter = 5;
// A page fault in a mapped file brings the pages around it (Linux: fault_around_bytes).
constexpr uint64_t kBytesPerLookup = 64 << 10;

uint64_t vocabulary_bytes(const Metadata& metadata) {
  uint64_t n_bytes = 0;
  for (const auto& [key, value] : metadata.entries())
    if (auto* strings = std::get_if<std::vector<std::string>>(&value.held))
      for (const std::string& s : *strings) n_bytes += kBytesPerString + kBytesPerCharacter * s.size();
  return n_bytes;
}

// The input of a product as the backend lays it out; weights of either 8-bit format may occur.
uint64_t backend_bytes(const Hyperparameters& h, size_t n_batch, size_t n_threads) {
  uint64_t widest = h.n_embedding, scratch = 0;
  for (uint32_t i = 0; i < h.n_layers; ++i) {
    widest = std::max({widest, uint64_t(h.n_feed_forward[i]), uint64_t(h.n_heads[i]) * h.head_width_v});
    if (h.n_kv_heads[i])
      scratch = std::max<uint64_t>(scratch, kernels().attention_scratch_bytes(
                                                CpuBackend::kAttentionTile, h.n_heads[i] / h.n_kv_heads[i],
                                                h.head_width_k, h.head_width_v));
  }
  for (TensorType type : {TensorType::F16, TensorType::Q4_0, TensorType::Q4_K, TensorType::Q6_K})
    scratch = std::max<uint64_t>(scratch, kernels().scratch_bytes(type, widest));
  return n_batch * (activation_bytes(ActivationFormat::q8_32, widest) +
                    activation_bytes(ActivationFormat::q8_256, widest)) +
         n_threads * scratch;
}

}  // namespace

uint64_t looked_up_bytes(uint64_t n_lookup_bytes, size_t n_context) {
  return std::min(n_lookup_bytes, n_context * kBytesPerLookup);
}

RunMemory estimate_run_memory(const Hyperparameters& h, const Metadata& metadata, uint64_t n_weight_bytes,
                              const RunShape& shape) {
  size_t n_context = chosen_context(h, shape.n_context), n_batch = std::min(shape.n_batch, n_context);
  size_t n_threads = shape.n_threads ? shape.n_threads : usable_cores().size();
  RunMemory memory;
  memory.weights = n_weight_bytes - std::min(n_weight_bytes, shape.n_lookup_bytes) +
                   looked_up_bytes(shape.n_lookup_bytes, n_context);
  memory.kv_cache = KvCache::n_bytes(h, shape.kv_type, n_context, n_batch);
  memory.activations = GraphBuffers::n_bytes(h, n_batch, 1) + backend_bytes(h, n_batch, n_threads);
  memory.process = kProgramBytes + kThreadBytes * n_threads + vocabulary_bytes(metadata);
  return memory;
}

uint64_t peak_resident_bytes() {
  std::ifstream in("/proc/self/status");
  for (std::string word; in >> word;)
    if (word == "VmHWM:") {
      uint64_t kilobytes = 0;
      in >> kilobytes;
      return kilobytes * 1024;
    }
  return 0;
}

}  // namespace edgellm
