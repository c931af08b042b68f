// Super-blocks of 256: K-quants and IQ4_XS.
#include "runtime/kernels/neon/row_dot.h"
#include "runtime/kernels/neon/scaled_dots.inl.h"

namespace edgellm::neon {
namespace {

// Sum of the products of sixteen int8 factors and the sums of 16 activations, still in four lanes.
inline int32x4_t weighted_sums(int8x16_t factors, const int16_t* sums) {
  int16x8_t low = vmovl_s8(vget_low_s8(factors)), high = vmovl_high_s8(factors);
  int16x8_t first = vld1q_s16(sums), last = vld1q_s16(sums + 8);
  int32x4_t total = vmull_s16(vget_low_s16(low), vget_low_s16(first));
  total = vmlal_high_s16(total, low, first);
  total = vmlal_s16(total, vget_low_s16(high), vget_low_s16(last));
  return vmlal_high_s16(total, high, last);
}

// sum + the share of block b of the row.
inline float32x4_t add_block(float32x4_t sum, const BlockQ2_K& block, const Token& token, size_t b) {
  uint8x16_t packed = vld1q_u8(block.sub_scales);
  int8x16_t scales = as_signed(low_halves(packed));
  int32x4_t dot = scaled_dots_of_16<false>(block, token.codes + 256 * b, scales, nullptr);
  int32x4_t mins = weighted_sums(as_signed(high_halves(packed)), token.sums + 16 * b);
  sum = vfmaq_n_f32(sum, vcvtq_f32_s32(dot), float_from_half(block.scale) * token.scales[b]);
  return vfmsq_n_f32(sum, vcvtq_f32_s32(mins), float_from_half(block.min) * token.scales[b]);
}

// Q3_K and Q6_K: the codes are unsigned, so the dot products begin at -32 times the sums of the activations.
inline float32x4_t add_block(float32x4_t sum, const BlockQ3_K& block, const Token& token, size_t b) {
  int32x4_t dot =
      scaled_dots_of_16<true>(block, token.codes + 256 * b, signed_scales(block), token.biases + 16 * b);
  return vfmaq_n_f32(sum, vcvtq_n_f32_s32(dot, 3), float_from_half(block.scale) * token.scales[b]);
}
inline float32x4_t add_block(float32x4_t sum, const BlockQ6_K& block, const Token& token, size_t b) {
  int8x16_t scales = vld1q_s8(block.sub_scales);
  int32x4_t dot = scaled_dots_of_16<true>(block, token.codes + 256 * b, scales, token.biases + 16 * b);
  return vfmaq_n_f32(sum, vcvtq_f32_s32(dot), float_from_half(block.scale) * token.scales[b]);
}

template <typename Block>
inline float32x4_t add_block_with_mins(float32x4_t sum, const Block& block, const Token& token, size_t b) {
  ScalesAndMins packed = scales_and_mins(block.sub_scales);
  int16x8_t scales = vreinterpretq_s16_u16(vmovl_u8(packed.scales));
  int16x8_t mins = vreinterpretq_s16_u16(vmovl_u8(packed.mins));
  int32x4_t dot = scaled_dots_of_32(block, token.codes + 256 * b, scales);
  int16x8_t sums_of_32 = vpaddq_s16(vld1q_s16(token.sums + 16 * b), vld1q_s16(token.sums + 16 * b + 8));
  int32x4_t min = vmull_s16(vget_low_s16(mins), vget_low_s16(sums_of_32));
  min = vmlal_high_s16(min, mins, sums_of_32);
  sum = vfmaq_n_f32(sum, vcvtq_f32_s32(dot), float_from_half(block.scale) * token.scales[b]);
  return vfmsq_n_f32(sum, vcvtq_f32_s32(min), float_from_half(block.min) * token.scales[b]);
}
inline float32x4_t add_block(float32x4_t sum, const BlockQ4_K& block, const Token& token, size_t b) {
  return add_block_with_mins(sum, block, token, b);
}
inline float32x4_t add_block(float32x4_t sum, const BlockQ5_K& block, const Token& token, size_t b) {
  return add_block_with_mins(sum, block, token, b);
}

inline float32x4_t add_block(float32x4_t sum, const BlockIQ4_XS& block, const Token& token, size_t b) {
  int32x4_t dot = scaled_dots_of_32(block, token.codes + 256 * b, vmovl_s8(signed_scales(block)));
  return vfmaq_n_f32(sum, vcvtq_f32_s32(dot), float_from_half(block.scale) * token.scales[b]);
}

template <typename Block>
float row_dot(const void* row, const Token& token, size_t n_columns) {
  auto block = static_cast<const Block*>(row);
  float32x4_t sum = vdupq_n_f32(0);
  for (size_t b = 0; b < n_columns / 256; ++b) sum = add_block(sum, block[b], token, b);
  return vaddvq_f32(sum);
}

}  // namespace

RowDot row_dot_of_256(TensorType type) {
  switch (type) {
    case TensorType::Q2_K:
      return row_dot<BlockQ2_K>;
    case TensorType::Q3_K:
      return row_dot<BlockQ3_K>;
    case TensorType::Q4_K:
      return row_dot<BlockQ4_K>;
    case TensorType::Q5_K:
      return row_dot<BlockQ5_K>;
    case TensorType::Q6_K:
      return row_dot<BlockQ6_K>;
    case TensorType::IQ4_XS:
      return row_dot<BlockIQ4_XS>;
    default:
      return row_dot_of_codebook(type);
  }
}

}  // namespace edgellm::neon
