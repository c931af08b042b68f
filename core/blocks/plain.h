// Plain numbers: one value a "block".
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgellm {

// True when no value is NaN or infinite.
bool all_finite(const float* values, size_t n_values);

void decode_f32(const void* blocks, float* values, size_t n_values);
void decode_f16(const void* blocks, float* values, size_t n_values);
void decode_bf16(const void* blocks, float* values, size_t n_values);
void decode_f64(const void* blocks, float* values, size_t n_values);

void encode_f32(const float* values, const float* importance, void* blocks, size_t n_values);
// Values past the largest half, 65504, are stored as that one: an infinite weight would spoil every product.
void encode_f16(const float* values, const float* importance, void* blocks, size_t n_values);
void encode_bf16(const float* values, const float* importance, void* blocks, size_t n_values);

}  // namespace edgellm
