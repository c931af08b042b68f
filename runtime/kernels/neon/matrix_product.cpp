#include <arm_neon.h>
#include <cstring>

#include "runtime/kernels/neon/neon.h"
#include "runtime/kernels/neon/panel.h"

namespace edgellm::neon {
namespace {

void row_product(const MatrixProduct& p, RowDot row_dot, ActivationFormat format) {
  const ActivationPlanes planes = activation_planes(format, p.n_columns);
  const TensorTypeInfo& type = info(p.type);
  const size_t row_bytes = p.n_columns / type.n_values_per_block * type.n_bytes_per_block;
  Token tokens[kPanelTokens];
  for (size_t t = 0; t < p.n_tokens; ++t) tokens[t] = token_at(p.activations, planes, t);
  auto row_blocks = static_cast<const uint8_t*>(p.weights) + p.first_row * row_bytes;
  for (size_t row = p.first_row; row < p.end_row; ++row, row_blocks += row_bytes)
    for (size_t t = 0; t < p.n_tokens; ++t)
      p.output[t * p.output_stride + row] = row_dot(row_blocks, tokens[t], p.n_columns);
}

using PanelProduct = void (*)(const MatrixProduct& product, const PanelFormat& format);

void multiply(const MatrixProduct& p, PanelProduct panel_product) {
  const PanelFormat format = panel_format(p.type);
  if (!format.unpack) return float_product(p);
  if (p.n_tokens >= kPanelTokens) return panel_product(p, format);
  if (p.type == TensorType::Q2_0) return q2_0_row_product(p);
  if (RowDot row_dot = row_dot_of_32(p.type)) return row_product(p, row_dot, ActivationFormat::q8_32);
  row_product(p, row_dot_of_256(p.type), ActivationFormat::q8_256);
}

// Codes of 16 values: nearest even, as the scalar reference.
inline int8x16_t round16(const float* x, float inverse) {
  int32x4_t rounded[4];
  for (int k = 0; k < 4; ++k) rounded[k] = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4 * k), inverse));
  int16x8_t low = vcombine_s16(vqmovn_s32(rounded[0]), vqmovn_s32(rounded[1]));
  int16x8_t high = vcombine_s16(vqmovn_s32(rounded[2]), vqmovn_s32(rounded[3]));
  return vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
}

inline float largest_magnitude(const float* x, size_t n) {
  float32x4_t largest[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
  for (size_t i = 0; i < n; i += 16)
    for (int k = 0; k < 4; ++k) largest[k] = vmaxnmq_f32(largest[k], vabsq_f32(vld1q_f32(x + i + 4 * k)));
  return vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(largest[0], largest[1]), vmaxnmq_f32(largest[2], largest[3])));
}

}  // namespace

void quantize_activations(ActivationFormat format, const float* x, size_t n_columns, void* row) {
  if (format == ActivationFormat::f32) {
    memcpy(row, x, n_columns * sizeof(float));
    return;
  }
  const ActivationPlanes planes = activation_planes(format, n_columns);
  const bool is_q8_32 = format == ActivationFormat::q8_32;
  const size_t n_in_block = is_q8_32 ? 32 : 256;
  auto bytes = static_cast<uint8_t*>(row);
  auto codes = reinterpret_cast<int8_t*>(row);
  auto scales = reinterpret_cast<float*>(bytes + planes.scales);
  auto scaled_sums = reinterpret_cast<float*>(bytes + planes.scaled_sums);
  auto sums = reinterpret_cast<int16_t*>(bytes + planes.sums);
  auto biases = reinterpret_cast<int32_t*>(bytes + planes.biases);
  for (size_t b = 0; b < n_columns / n_in_block; ++b) {
    const float* values = x + b * n_in_block;
    const float largest = largest_magnitude(values, n_in_block);
    const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
    scales[b] = largest / 127.0f;
    int block_sum = 0;
    for (size_t i = 0; i < n_in_block; i += 16) {
      int8x16_t rounded = round16(values + i, inverse);
      vst1q_s8(codes + b * n_in_block + i, rounded);
      const int sum = vaddlvq_s8(rounded);
      block_sum += sum;
      if (is_q8_32) continue;
      sums[(b * n_in_block + i) / 16] = int16_t(sum);
      biases[(b * n_in_block + i) / 16] = -32 * sum;
    }
    if (is_q8_32) scaled_sums[b] = scales[b] * float(block_sum);
  }
}

size_t scratch_bytes(TensorType type, size_t n_columns) {
  if (!panel_format(type).unpack) return float_scratch_bytes(n_columns);
  const size_t turned = type == TensorType::Q2_0 ? q2_0_scratch_bytes(n_columns) : 0;
  return turned > sizeof(Panel) ? turned : sizeof(Panel);
}

void matrix_product(const MatrixProduct& product) {
  multiply(product, panel_product_dotprod);
}
void matrix_product_i8mm(const MatrixProduct& product) {
  multiply(product, panel_product_i8mm);
}

}  // namespace edgellm::neon
