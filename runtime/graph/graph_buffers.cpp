#include "runtime/graph/graph_buffers.h"

#include <algorithm>

namespace edgellm {

uint64_t GraphBuffers::lay_out(const Hyperparameters& h, size_t n_batch, size_t n_logit_rows,
                               std::byte* base) {
  uint64_t at = 0;
  auto take = [&](float*& part, uint64_t n_rows, uint64_t n_columns) {
    if (base) part = reinterpret_cast<float*>(base + at);
    at += AlignedBuffer::rounded(n_rows * n_columns * sizeof(float));
  };
  uint64_t n_q = 0, n_k = 0, n_v = 0, n_attended = 0, n_ffn = 0;
  for (uint32_t i = 0; i < h.n_layers; ++i) {
    n_q = std::max(n_q, uint64_t(h.n_heads[i]) * h.head_width_k);
    n_k = std::max(n_k, uint64_t(h.n_kv_heads[i]) * h.head_width_k);
    n_v = std::max(n_v, uint64_t(h.n_kv_heads[i]) * h.head_width_v);
    n_attended = std::max(n_attended, uint64_t(h.n_heads[i]) * h.head_width_v);
    n_ffn = std::max(n_ffn, uint64_t(h.n_feed_forward[i]));
  }
  take(residual, n_batch, h.n_embedding);
  take(branch, n_batch, h.n_embedding);
  take(cosine, n_batch, h.n_rotated / 2);
  take(sine, n_batch, h.n_rotated / 2);
  if (h.sliding_window) {
    take(local_cosine, n_batch, h.n_rotated / 2);
    take(local_sine, n_batch, h.n_rotated / 2);
  }
  take(logits, n_logit_rows, h.n_vocabulary);
  uint64_t shared_at = at;
  take(q, n_batch, n_q);
  take(k, n_batch, n_k);
  take(v, n_batch, n_v);
  take(attended, n_batch, n_attended);
  uint64_t end_of_attention = at;
  at = shared_at;
  take(gate, n_batch, n_ffn);
  take(up, n_batch, n_ffn);
  return std::max(at, end_of_attention);
}

uint64_t GraphBuffers::n_bytes(const Hyperparameters& h, size_t n_batch, size_t n_logit_rows) {
  return GraphBuffers().lay_out(h, n_batch, n_logit_rows, nullptr);
}

GraphBuffers::GraphBuffers(const Hyperparameters& h, size_t n_batch, size_t n_logit_rows)
    : memory(n_bytes(h, n_batch, n_logit_rows)) {
  if (memory.data()) lay_out(h, n_batch, n_logit_rows, memory.data());
}

}  // namespace edgellm
