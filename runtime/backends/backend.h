// What the graph asks of a device. Operations are coarse (a group of products, a whole attention), so that a
// device can fuse and spread each as it likes; pointers are to memory the device reads and writes directly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/arch/architecture.h"
#include "core/arch/text_encoder_architecture.h"
#include "core/blocks/tensor_type.h"
#include "core/language_model.h"

namespace edgellm {

// A weight matrix where it lies in the mapped file: [n_rows, n_columns] in blocks, rows contiguous.
struct Matrix {
  TensorType type = TensorType::F32;
  const void* data = nullptr;  // null: the model has no such matrix
  size_t n_rows = 0;
  size_t n_columns = 0;
};

// output[token, row] = activation(bias[row] + sum over columns of weights[row, column] * x[token, column])
struct ProductTask {
  const Matrix* weights;
  const float* bias;  // [n_rows], or null
  float* output;      // [n_tokens, output_stride]
  size_t output_stride;
  PointwiseActivation activation = PointwiseActivation::none;
};

// One layer of a KV cache. Row r of kv head h is at keys + h * key_head_stride + r * key_stride, all in
// bytes.
struct CacheRows {
  std::byte* keys;
  std::byte* values;
  size_t key_stride, value_stride;
  size_t key_head_stride, value_head_stride;
  bool is_q8_0;      // Q8_0 blocks; otherwise IEEE half
  size_t first_row;  // the row of the batch's first token
};

// Finishes queries, keys and values of a batch: norm per head, rope, then keys and values go into the cache.
struct HeadsTask {
  float* q;        // [n_tokens, n_heads * head_width_k]; changed in place
  float* k;        // [n_tokens, n_kv_heads * head_width_k]; changed in place
  const float* v;  // [n_tokens, n_kv_heads * head_width_v]
  size_t n_tokens, n_heads, n_kv_heads, head_width_k, head_width_v;
  const float* q_norm;  // [head_width_k], or null
  const float* k_norm;
  float norm_epsilon;
  RopeKind rope;
  const float* cosine;  // [n_tokens, n_rotated / 2]
  const float* sine;
  size_t n_rotated;
  CacheRows cache;
};

// Causal attention of a batch whose keys and values are in the cache: query t sees rows up to cache.first_row
// + t.
struct AttentionTask {
  const float* q;  // [n_tokens, n_heads * head_width_k]
  float* output;   // [n_tokens, n_heads * head_width_v]
  size_t n_tokens, n_heads, n_kv_heads, head_width_k, head_width_v;
  CacheRows cache;
  size_t window;          // 0: all earlier rows; n: only the last n (the query's own included)
  float scale, soft_cap;  // soft_cap 0: none
};

// Attention of an encoder: the tokens of each sequence see one another. Sequence s has the tokens from
// first_tokens[s] up to first_tokens[s + 1].
struct SequencesTask {
  const float *q, *k, *v;  // head h of a token at h * head_width; tokens `stride` floats apart
  size_t stride;
  std::span<const size_t> first_tokens;  // [n_sequences + 1]
  size_t n_heads, head_width;
  float scale;
  float* output;  // [n_tokens, n_heads * head_width]
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string description() const = 0;  // "CPU, avx512, 2 threads"
  virtual size_t n_threads() const = 0;

  // Makes room for products and attentions of these shapes; never called while tokens are computed.
  virtual void reserve_product(TensorType type, size_t n_columns, size_t n_tokens) = 0;
  virtual void reserve_attention(size_t n_heads_per_kv_head, size_t head_width_k, size_t head_width_v) = 0;
  virtual void reserve_sequences(size_t most_tokens_of_one, size_t head_width) = 0;
  virtual size_t n_reserved_bytes() const = 0;

  // y[t] = scale * row tokens[t] of the table; y: [n_tokens, n_columns]
  virtual void rows(const Matrix& table, std::span<const Token> tokens, float scale, float* y) = 0;
  // Norm of every token's row; x and y: [n_tokens, n_columns], may be the same.
  virtual void rms_norm(const float* x, const float* weight, float epsilon, float* y, size_t n_tokens,
                        size_t n_columns) = 0;
  // Products that share one input x: [n_tokens, n_columns], 64-byte aligned.
  virtual void products(const float* x, size_t n_tokens, size_t n_columns,
                        std::span<const ProductTask> tasks) = 0;
  virtual void heads(const HeadsTask& task) = 0;
  virtual void attention(const AttentionTask& task) = 0;
  // gate = activation(gate) * up, all n values.
  virtual void gate(Activation activation, float* gate, const float* up, size_t n) = 0;
  // y += x
  virtual void add(const float* x, float* y, size_t n) = 0;
  virtual void attention_of_sequences(const SequencesTask& task) = 0;
  // y = layer norm of y + x, token by token; x: [n_tokens, n_columns], or null for nothing to add.
  virtual void add_layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y,
                              size_t n_tokens, size_t n_columns) = 0;
  // x = cap * tanh(x / cap)
  virtual void soft_cap(float cap, float* x, size_t n) = 0;
};

}  // namespace edgellm
