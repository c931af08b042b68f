// The kernel table: every operation whose speed depends on the instruction set, one table per set. All
// functions work on the calling thread only; the caller splits work between threads. None allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/result.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

// How activations are laid out before a matrix product; chosen by the weights' type.
enum class ActivationFormat : uint8_t {
  f32,     // as they are (F32, F16, BF16 weights)
  q8_32,   // int8, one scale per 32 values
  q8_256,  // int8, one scale per 256 values
};
ActivationFormat activation_format(TensorType weights, size_t n_columns);
// Bytes of one token's row of n_columns, a multiple of 64.
size_t activation_bytes(ActivationFormat format, size_t n_columns);

// output[token, row] = sum over columns of weights[row, column] * activations[token, column], for rows
// first_row..end_row.
struct MatrixProduct {
  TensorType type;
  const void* weights;  // [n_rows, n_columns] in blocks, rows contiguous
  size_t n_columns;
  size_t first_row, end_row;
  const void* activations;  // [n_tokens] rows of activation_bytes
  size_t n_tokens;
  float* output;  // [n_tokens, output_stride], float; output[0] belongs to row 0 of the weights
  size_t output_stride;
  void* scratch;  // Kernels::scratch_bytes(type, n_columns), 64-byte aligned, one per thread
};

// Causal attention of query positions over a KV cache, one key-value head's group of query heads at a time.
struct AttentionArguments {
  const float* q;  // [n_tokens, q_stride]; head h at h * head_width_k, rope applied, not scaled
  size_t q_stride;
  size_t first_head, n_heads;  // query heads to compute; all share kv head `kv_head`
  const void* keys;            // the kv head's rows: position p at keys + p * key_stride
  const void* values;
  size_t key_stride, value_stride;  // bytes between positions
  bool cache_is_q8_0;               // rows are Q8_0 blocks; otherwise IEEE half
  size_t head_width_k, head_width_v;
  size_t first_position;  // of the first query token; token t sits at first_position + t
  size_t n_tokens;
  size_t window;          // 0: all earlier positions; n: only the last n (itself included)
  float scale, soft_cap;  // soft_cap 0: none
  float* output;          // [n_tokens, output_stride]; head h at h * head_width_v
  size_t output_stride;
  void* scratch;  // Kernels::attention_scratch_bytes(...), 64-byte aligned, one per thread
};

// Attention of an encoder: every token of one sequence sees every other. One head at a time.
struct SequenceAttentionArguments {
  const float *q, *k, *v;  // [n_tokens, head_width], each token `stride` floats after the one before
  size_t stride;
  size_t n_tokens, head_width;
  float scale;
  float* output;  // [n_tokens, head_width], tokens output_stride floats apart
  size_t output_stride;
  void* scratch;  // Kernels::sequence_attention_scratch_bytes(...), 64-byte aligned, one per thread
};

struct Kernels {
  const char* name;  // "generic", "avx2", "avx512", "neon", "neon-i8mm"

  // x: [n_columns] float -> one activation row.
  void (*quantize_activations)(ActivationFormat format, const float* x, size_t n_columns, void* row);
  void (*matrix_product)(const MatrixProduct& product);
  size_t (*scratch_bytes)(TensorType type, size_t n_columns);

  void (*attention)(const AttentionArguments& arguments);
  size_t (*attention_scratch_bytes)(size_t n_tokens, size_t n_heads, size_t head_width_k,
                                    size_t head_width_v);
  // y[i] = x[i] / rms(x) * weight[i]; x and y: [n]; they may be the same.
  void (*rms_norm)(const float* x, const float* weight, float epsilon, float* y, size_t n);
  // In place on one head [n_rotated]: pairs (2i, 2i+1) or (i, i + n_rotated/2) turned by cos[i], sin[i].
  void (*rope_interleaved)(float* head, const float* cosine, const float* sine, size_t n_rotated);
  void (*rope_halves)(float* head, const float* cosine, const float* sine, size_t n_rotated);
  void (*silu_times)(const float* gate, const float* up, float* y, size_t n);  // y = silu(gate) * up
  void (*gelu_times)(const float* gate, const float* up, float* y, size_t n);  // tanh approximation
  void (*add)(const float* x, float* y, size_t n);                             // y += x
  void (*halves_from_floats)(const float* x, uint16_t* y, size_t n);           // IEEE half, nearest even
  void (*q8_0_from_floats)(const float* x, void* blocks, size_t n);            // n a multiple of 32

  void (*sequence_attention)(const SequenceAttentionArguments& arguments);
  size_t (*sequence_attention_scratch_bytes)(size_t n_tokens, size_t head_width);
  // y[i] = (x[i] - mean(x)) / sqrt(variance(x) + epsilon) * weight[i] + bias[i]; x and y may be the same.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float epsilon, float* y,
                     size_t n);
  void (*gelu)(float* x, size_t n);       // in place; with the error function, to 3e-7
  void (*gelu_tanh)(float* x, size_t n);  // in place; tanh approximation
  void (*relu)(float* x, size_t n);       // in place
};

// The fastest table this CPU can run, chosen once; the environment variable EDGELLM_ISA forces one by name.
const Kernels& kernels();
// The error to show a user whose EDGELLM_ISA names no table this CPU can run; kernels() is then the fastest.
Status kernels_status();
// Every table this CPU can run, the scalar reference (generic) first; tests compare the others with it.
std::span<const Kernels* const> usable_kernels();

}  // namespace edgellm
