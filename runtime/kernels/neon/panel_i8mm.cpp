// Panels with smmla: eight columns of two rows times eight columns of two tokens are four sums. Compiled with
// i8mm, which the other files are not; called only where the CPU has it.
#include <arm_neon.h>

#include "runtime/kernels/neon/panel.h"

namespace edgellm::neon {
namespace {

inline int8x16_t first_halves(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s64(vzip1q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}
inline int8x16_t second_halves(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s64(vzip2q_s64(vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b)));
}

inline void interleave(const int8_t (*rows)[kPanelColumns], size_t n_columns, int8_t* codes) {
  for (size_t column = 0; column < n_columns; column += 16) {
    for (int pair = 0; pair < 4; ++pair, codes += 32) {
      int8x16_t even = vld1q_s8(rows[2 * pair] + column), odd = vld1q_s8(rows[2 * pair + 1] + column);
      vst1q_s8(codes, first_halves(even, odd));
      vst1q_s8(codes + 16, second_halves(even, odd));
    }
  }
}

template <int n_chunks, int n_tokens>
inline void accumulate(const int8_t* codes, const Token* tokens, size_t column,
                       int32x4_t (&sums)[n_tokens][2]) {
  static_assert(n_tokens % 2 == 0);
  int32x4_t squares[n_tokens / 2]
                   [4];  // [row 0 token 0, row 0 token 1, row 1 token 0, row 1 token 1] of each pair of rows
  for (auto& tokens_of_pair : squares)
    for (auto& square : tokens_of_pair) square = vdupq_n_s32(0);
  for (int chunk = 0; chunk < n_chunks; ++chunk, column += 16) {
    int8x16_t first[n_tokens / 2], second[n_tokens / 2];
    for (int u = 0; u < n_tokens / 2; ++u) {
      int8x16_t even = vld1q_s8(tokens[2 * u].codes + column),
                odd = vld1q_s8(tokens[2 * u + 1].codes + column);
      first[u] = first_halves(even, odd);
      second[u] = second_halves(even, odd);
    }
    for (int pair = 0; pair < 4; ++pair, codes += 32) {
      int8x16_t weights_first = vld1q_s8(codes), weights_second = vld1q_s8(codes + 16);
      for (int u = 0; u < n_tokens / 2; ++u)
        squares[u][pair] = vmmlaq_s32(squares[u][pair], weights_first, first[u]);
      for (int u = 0; u < n_tokens / 2; ++u)
        squares[u][pair] = vmmlaq_s32(squares[u][pair], weights_second, second[u]);
    }
  }
  for (int u = 0; u < n_tokens / 2; ++u) {
    for (int half = 0; half < 2; ++half) {
      int32x4_t low = squares[u][2 * half], high = squares[u][2 * half + 1];
      sums[2 * u][half] = vaddq_s32(sums[2 * u][half], vuzp1q_s32(low, high));
      sums[2 * u + 1][half] = vaddq_s32(sums[2 * u + 1][half], vuzp2q_s32(low, high));
    }
  }
}

}  // namespace
}  // namespace edgellm::neon

#include "runtime/kernels/neon/panel_product.inl.h"

namespace edgellm::neon {

void panel_product_i8mm(const MatrixProduct& product, const PanelFormat& format) {
  multiply_by_form(product, format);
}

}  // namespace edgellm::neon
