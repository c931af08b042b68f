// Panels with sdot: one vector holds four columns of four rows, and meets four columns of a token by lane.
#include <arm_neon.h>

#include "runtime/kernels/neon/panel.h"

namespace edgellm::neon {
namespace {

inline void interleave(const int8_t (*rows)[kPanelColumns], size_t n_columns, int8_t* codes) {
  for (size_t column = 0; column < n_columns; column += 16) {
    for (int half = 0; half < 2; ++half, codes += 64) {
      int32x4_t in[4];
      for (int r = 0; r < 4; ++r) in[r] = vreinterpretq_s32_s8(vld1q_s8(rows[4 * half + r] + column));
      int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(in[0], in[1])),
                b = vreinterpretq_s64_s32(vtrn2q_s32(in[0], in[1]));
      int64x2_t c = vreinterpretq_s64_s32(vtrn1q_s32(in[2], in[3])),
                d = vreinterpretq_s64_s32(vtrn2q_s32(in[2], in[3]));
      vst1q_s8(codes, vreinterpretq_s8_s64(vtrn1q_s64(a, c)));
      vst1q_s8(codes + 16, vreinterpretq_s8_s64(vtrn1q_s64(b, d)));
      vst1q_s8(codes + 32, vreinterpretq_s8_s64(vtrn2q_s64(a, c)));
      vst1q_s8(codes + 48, vreinterpretq_s8_s64(vtrn2q_s64(b, d)));
    }
  }
}

template <int n_chunks, int n_tokens>
inline void accumulate(const int8_t* codes, const Token* tokens, size_t column,
                       int32x4_t (&sums)[n_tokens][2]) {
  for (int chunk = 0; chunk < n_chunks; ++chunk, column += 16) {
    int8x16_t activations[n_tokens];
    for (int t = 0; t < n_tokens; ++t) activations[t] = vld1q_s8(tokens[t].codes + column);
    for (int half = 0; half < 2; ++half, codes += 64) {
      int8x16_t first = vld1q_s8(codes), second = vld1q_s8(codes + 16);
      int8x16_t third = vld1q_s8(codes + 32), fourth = vld1q_s8(codes + 48);
      for (int t = 0; t < n_tokens; ++t)
        sums[t][half] = vdotq_laneq_s32(sums[t][half], first, activations[t], 0);
      for (int t = 0; t < n_tokens; ++t)
        sums[t][half] = vdotq_laneq_s32(sums[t][half], second, activations[t], 1);
      for (int t = 0; t < n_tokens; ++t)
        sums[t][half] = vdotq_laneq_s32(sums[t][half], third, activations[t], 2);
      for (int t = 0; t < n_tokens; ++t)
        sums[t][half] = vdotq_laneq_s32(sums[t][half], fourth, activations[t], 3);
    }
  }
}

}  // namespace
}  // namespace edgellm::neon

#include "runtime/kernels/neon/panel_product.inl.h"

namespace edgellm::neon {

void panel_product_dotprod(const MatrixProduct& product, const PanelFormat& format) {
  multiply_by_form(product, format);
}

}  // namespace edgellm::neon
