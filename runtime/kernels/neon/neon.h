// The kernel table for 64-bit ARM CPUs with dot products and half floats; see runtime/kernels/kernels.h.
#pragma once

#include "runtime/kernels/kernels.h"

namespace edgellm::neon {

void quantize_activations(ActivationFormat format, const float* x, size_t n_columns, void* row);
void matrix_product(const MatrixProduct& product);
// For CPUs that also have the int8 matrix multiply; the only function of the table "neon-i8mm" that differs.
void matrix_product_i8mm(const MatrixProduct& product);
size_t scratch_bytes(TensorType type, size_t n_columns);

void attention(const AttentionArguments& arguments);
size_t attention_scratch_bytes(size_t n_tokens, size_t n_heads, size_t head_width_k, size_t head_width_v);
void rms_norm(const float* x, const float* weight, float epsilon, float* y, size_t n);
void rope_interleaved(float* head, const float* cosine, const float* sine, size_t n_rotated);
void rope_halves(float* head, const float* cosine, const float* sine, size_t n_rotated);
void silu_times(const float* gate, const float* up, float* y, size_t n);
void gelu_times(const float* gate, const float* up, float* y, size_t n);
void add(const float* x, float* y, size_t n);
void halves_from_floats(const float* x, uint16_t* y, size_t n);
void q8_0_from_floats(const float* x, void* blocks, size_t n);

void sequence_attention(const SequenceAttentionArguments& arguments);
size_t sequence_attention_scratch_bytes(size_t n_tokens, size_t head_width);
void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* y, size_t n);
void gelu(float* x, size_t n);
void gelu_tanh(float* x, size_t n);
void relu(float* x, size_t n);

}  // namespace edgellm::neon
