// The arena of one decoder: every intermediate value of a batch, laid out once at load.
#pragma once

#include "core/arch/architecture.h"
#include "runtime/backends/aligned_buffer.h"

namespace edgellm {

// B tokens of a batch, R rows of logits, E embedding width, V vocabulary. Each part starts on a cache line.
struct GraphBuffers {
  GraphBuffers(const Hyperparameters& hyperparameters, size_t n_batch, size_t n_logit_rows);
  static uint64_t n_bytes(const Hyperparameters& hyperparameters, size_t n_batch, size_t n_logit_rows);

  float* residual = nullptr;  // [B, E]
  float* branch = nullptr;    // [B, E], normed input of a branch, then its output
  // Attention and feed-forward share their room.
  float *q = nullptr, *k = nullptr, *v = nullptr, *attended = nullptr;  // [B, heads * width]
  float *gate = nullptr, *up = nullptr;                                 // [B, feed forward]
  float *cosine = nullptr, *sine = nullptr;                             // [B, n_rotated / 2]
  float *local_cosine = nullptr, *local_sine = nullptr;                 // of sliding-window layers
  float* logits = nullptr;                                              // [R, V]
  AlignedBuffer memory;                                                 // data() is null when there was none

 private:
  GraphBuffers() = default;
  uint64_t lay_out(const Hyperparameters& hyperparameters, size_t n_batch, size_t n_logit_rows,
                   std::byte* base);
};

}  // namespace edgellm
