// The CPU as a device: a pinned thread pool over the kernel table. A single token's small operations stay on
// the calling thread; products and attention are spread, one dispatch for each group.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "core/base/thread_pool.h"
#include "runtime/backends/aligned_buffer.h"
#include "runtime/backends/backend.h"
#include "runtime/kernels/kernels.h"

namespace edgellm {

class CpuBackend final : public Backend {
 public:
  // From this many tokens on every kernel table computes products in the way of many tokens, in which a
  // token's sums do not depend on the others.
  static constexpr size_t kManyTokens = 12;
  // n_threads 0: one per usable core. batch_invariant: products of fewer than kManyTokens tokens are computed
  // as if there were as many, so that a token's results never depend on how many are computed together;
  // inputs and outputs of products must then have room for kManyTokens rows.
  explicit CpuBackend(size_t n_threads = 0, const Kernels& table = kernels(), bool batch_invariant = false);

  std::string description() const override;
  size_t n_threads() const override { return pool_.n_threads(); }
  void reserve_product(TensorType type, size_t n_columns, size_t n_tokens) override;
  void reserve_attention(size_t n_heads_per_kv_head, size_t head_width_k, size_t head_width_v) override;
  void reserve_sequences(size_t most_tokens_of_one, size_t head_width) override;
  size_t n_reserved_bytes() const override;

  void rows(const Matrix& table, std::span<const Token> tokens, float scale, float* y) override;
  void rms_norm(const float* x, const float* weight, float epsilon, float* y, size_t n_tokens,
                size_t n_columns) override;
  void products(const float* x, size_t n_tokens, size_t n_columns,
                std::span<const ProductTask> tasks) override;
  void heads(const HeadsTask& task) override;
  void attention(const AttentionTask& task) override;
  void gate(Activation activation, float* gate, const float* up, size_t n) override;
  void add(const float* x, float* y, size_t n) override;
  void attention_of_sequences(const SequencesTask& task) override;
  void add_layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y,
                      size_t n_tokens, size_t n_columns) override;
  void soft_cap(float cap, float* x, size_t n) override;

  // Tokens of one attention call; a longer batch is cut into tiles of this many.
  static constexpr size_t kAttentionTile = 32;

 private:
  // The input in the layout that weights of `type` want, made on first use within one group.
  const void* activations(ActivationFormat format, const float* x, size_t n_tokens, size_t n_columns);
  void finish_product(const ProductTask& task, size_t n_tokens, size_t first_row, size_t n_rows) const;
  void heads_of_token(const HeadsTask& task, size_t token) const;
  void* scratch(size_t thread) const { return scratch_.data() + thread * n_scratch_bytes_; }
  void reserve_scratch(size_t n_bytes);
  template <class Function>
  void for_tokens(size_t n_tokens, size_t piece, Function&& function);

  const Kernels& kernels_;
  bool batch_invariant_;
  ThreadPool pool_;
  std::array<AlignedBuffer, 3> activations_;  // by ActivationFormat
  AlignedBuffer scratch_;                     // [n_threads, n_scratch_bytes_]
  size_t n_scratch_bytes_ = 0;
};

}  // namespace edgellm
