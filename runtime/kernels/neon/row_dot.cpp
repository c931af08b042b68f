#include "runtime/kernels/neon/row_dot.h"

#include "runtime/kernels/neon/unpack.inl.h"

namespace edgellm::neon {
namespace {

template <typename Block>
inline float32x4_t add_block(float32x4_t sum, const Block& block, const int8_t* codes,
                             float activation_scale) {
  int8x16x2_t weights = codes_of(block);
  int32x4_t dot = vdotq_s32(lane_from_memory(&kZero), weights.val[0], vld1q_s8(codes));
  dot = vdotq_s32(dot, weights.val[1], vld1q_s8(codes + 16));
  return vfmaq_n_f32(sum, vcvtq_f32_s32(dot), float_from_half(block.scale) * activation_scale);
}

template <typename Block>
float row_dot(const void* row, const Token& token, size_t n_columns) {
  auto block = static_cast<const Block*>(row);
  const int8_t* codes = token.codes;
  const size_t n_blocks = n_columns / 32;
  float32x4_t even = vdupq_n_f32(0), odd = vdupq_n_f32(0);
  float even_min = 0, odd_min = 0;
  size_t b = 0;
  for (; b + 2 <= n_blocks; b += 2, block += 2, codes += 64) {
    even = add_block(even, block[0], codes, token.scales[b]);
    odd = add_block(odd, block[1], codes + 32, token.scales[b + 1]);
    if constexpr (kHasMin<Block>) {
      even_min += min_of(block[0]) * token.scaled_sums[b];
      odd_min += min_of(block[1]) * token.scaled_sums[b + 1];
    }
  }
  if (b < n_blocks) {
    even = add_block(even, block[0], codes, token.scales[b]);
    if constexpr (kHasMin<Block>) even_min += min_of(block[0]) * token.scaled_sums[b];
  }
  return vaddvq_f32(vaddq_f32(even, odd)) + (even_min + odd_min);
}

}  // namespace

RowDot row_dot_of_32(TensorType type) {
  switch (type) {
    case TensorType::Q4_0:
      return row_dot<BlockQ4_0>;
    case TensorType::Q4_1:
      return row_dot<BlockQ4_1>;
    case TensorType::Q5_0:
      return row_dot<BlockQ5_0>;
    case TensorType::Q5_1:
      return row_dot<BlockQ5_1>;
    case TensorType::Q8_0:
      return row_dot<BlockQ8_0>;
    case TensorType::IQ4_NL:
      return row_dot<BlockIQ4_NL>;
    default:
      return nullptr;
  }
}

}  // namespace edgellm::neon
