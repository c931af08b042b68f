#include <arm_neon.h>

#include "core/base/float16.h"
#include "core/blocks/binary.h"
#include "runtime/kernels/neon/panel.h"
#include "runtime/kernels/neon/row_dot.h"

namespace edgellm::neon {
namespace {

// The activations of a block in the order in which its codes come out by shifts alone: byte i of codes[k] is
// value 4 * i + k. Sums 0 and 1 are over the first 32 values, sums 2 and 3 over the last.
struct TurnedBlock {
  int8_t codes[4][16];
  int32_t start[4];  // of the sums: codes stand for one less
  float scales[4];
};

inline void turn(const int8_t* codes, const float* scales, TurnedBlock& to) {
  const int8x16x4_t turned = vld4q_s8(codes);
  int32x4_t sums = vdupq_n_s32(0);
  for (int k = 0; k < 4; ++k) {
    vst1q_s8(to.codes[k], turned.val[k]);
    sums = vdotq_s32(sums, turned.val[k], vdupq_n_s8(-1));
  }
  vst1q_s32(to.start, sums);
  for (int k = 0; k < 4; ++k) to.scales[k] = scales[k / 2];
}

inline float32x4_t add_block(float32x4_t sum, const BlockQ2_0& block, const TurnedBlock& x) {
  const uint8x16_t quads = vld1q_u8(block.codes), three = vdupq_n_u8(3);
  int32x4_t dots = vld1q_s32(x.start);
  dots = vdotq_s32(dots, vreinterpretq_s8_u8(vandq_u8(quads, three)), vld1q_s8(x.codes[0]));
  dots = vdotq_s32(dots, vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(quads, 2), three)), vld1q_s8(x.codes[1]));
  dots = vdotq_s32(dots, vreinterpretq_s8_u8(vandq_u8(vshrq_n_u8(quads, 4), three)), vld1q_s8(x.codes[2]));
  dots = vdotq_s32(dots, vreinterpretq_s8_u8(vshrq_n_u8(quads, 6)), vld1q_s8(x.codes[3]));
  const float32x4_t scales = vmulq_n_f32(vld1q_f32(x.scales), float_from_half(block.scale));
  return vfmaq_f32(sum, vcvtq_f32_s32(dots), scales);
}

inline float row_dot(const BlockQ2_0* blocks, const TurnedBlock* x, size_t n_blocks) {
  float32x4_t even = vdupq_n_f32(0), odd = vdupq_n_f32(0);
  size_t b = 0;
  for (; b + 2 <= n_blocks; b += 2) {
    even = add_block(even, blocks[b], x[b]);
    odd = add_block(odd, blocks[b + 1], x[b + 1]);
  }
  if (b < n_blocks) even = add_block(even, blocks[b], x[b]);
  return vaddvq_f32(vaddq_f32(even, odd));
}

}  // namespace

size_t q2_0_scratch_bytes(size_t n_columns) {
  return (kPanelTokens - 1) * (n_columns / BlockQ2_0::n_values) * sizeof(TurnedBlock);
}

void q2_0_row_product(const MatrixProduct& p) {
  const ActivationPlanes planes = activation_planes(ActivationFormat::q8_32, p.n_columns);
  const size_t n_blocks = p.n_columns / BlockQ2_0::n_values;
  auto turned = static_cast<TurnedBlock*>(p.scratch);
  for (size_t t = 0; t < p.n_tokens; ++t) {
    const Token token = token_at(p.activations, planes, t);
    for (size_t b = 0; b < n_blocks; ++b)
      turn(token.codes + 64 * b, token.scales + 2 * b, turned[t * n_blocks + b]);
  }
  auto blocks = static_cast<const BlockQ2_0*>(p.weights) + p.first_row * n_blocks;
  for (size_t row = p.first_row; row < p.end_row; ++row, blocks += n_blocks)
    for (size_t t = 0; t < p.n_tokens; ++t)
      p.output[t * p.output_stride + row] = row_dot(blocks, turned + t * n_blocks, n_blocks);
}

}  // namespace edgellm::neon
