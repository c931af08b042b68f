// Super-blocks of the codebook types.
#include "runtime/kernels/neon/codebook_codes.inl.h"
#include "runtime/kernels/neon/row_dot.h"
#include "runtime/kernels/neon/scaled_dots.inl.h"

namespace edgellm::neon {
namespace {

template <typename Block>
inline int32x4_t scaled_dots(const Apart<Block>& block, const int8_t* codes, int8x8_t sub_scales) {
  return scaled_dots_of_32(block, codes, vmovl_s8(sub_scales));
}
template <typename Block>
inline int32x4_t scaled_dots(const Apart<Block>& block, const int8_t* codes, int8x16_t sub_scales) {
  return scaled_dots_of_16<false>(block, codes, sub_scales, nullptr);
}

template <typename Block>
float row_dot(const void* row, const Token& token, size_t n_columns) {
  auto blocks = static_cast<const Block*>(row);
  float32x4_t sum = vdupq_n_f32(0);
  for (size_t b = 0; b < n_columns / 256; ++b) {
    const Apart<Block> block(blocks[b]);
    int32x4_t dots = scaled_dots(block, token.codes + 256 * b, block.sub_scales);
    sum = vfmaq_n_f32(sum, vcvtq_f32_s32(dots), block.scale * token.scales[b]);
  }
  return vaddvq_f32(sum);
}

}  // namespace

RowDot row_dot_of_codebook(TensorType type) {
  switch (type) {
    case TensorType::IQ2_XXS:
      return row_dot<BlockIQ2_XXS>;
    case TensorType::IQ2_XS:
      return row_dot<BlockIQ2_XS>;
    case TensorType::IQ2_S:
      return row_dot<BlockIQ2_S>;
    case TensorType::IQ3_XXS:
      return row_dot<BlockIQ3_XXS>;
    case TensorType::IQ3_S:
      return row_dot<BlockIQ3_S>;
    case TensorType::IQ1_S:
      return row_dot<BlockIQ1_S>;
    case TensorType::IQ1_M:
      return row_dot<BlockIQ1_M>;
    default:
      return nullptr;
  }
}

}  // namespace edgellm::neon
