// Weights multiplied as floats: F32, F16 and BF16 converted on the fly, every other type decoded by
// core/blocks.
#include <arm_neon.h>
#include <cstring>

#include "runtime/kernels/neon/panel.h"

namespace edgellm::neon {
namespace {

// Four weights as floats.
struct Floats {
  using Element = float;
  static float32x4_t load(const float* x) { return vld1q_f32(x); }
};
struct Halves {
  using Element = uint16_t;
  static float32x4_t load(const uint16_t* x) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x))); }
};
struct Bfloats {
  using Element = uint16_t;
  static float32x4_t load(const uint16_t* x) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(x), 16)); }
};

template <typename Weights>
inline float32x4_t load_first(const typename Weights::Element* x, size_t n) {
  typename Weights::Element four[4] = {};
  memcpy(four, x, n * sizeof(*x));
  return Weights::load(four);
}

template <typename Weights>
float dot(const typename Weights::Element* w, const float* x, size_t n) {
  float32x4_t sums[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
    for (int k = 0; k < 4; ++k)
      sums[k] = vfmaq_f32(sums[k], Weights::load(w + i + 4 * k), vld1q_f32(x + i + 4 * k));
  for (; i < n; i += 4) {
    const size_t left = n - i;
    float32x4_t a = left < 4 ? load_first<Weights>(w + i, left) : Weights::load(w + i);
    float32x4_t b = left < 4 ? load_first<Floats>(x + i, left) : vld1q_f32(x + i);
    sums[0] = vfmaq_f32(sums[0], a, b);
  }
  return vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])));
}

struct FloatPanel {
  float values[4][kPanelColumns];           // four rows as decoded
  float turned[kPanelColumns][kPanelRows];  // [column][row]
};

inline const float* token_values(const MatrixProduct& p, size_t token) {
  const size_t token_bytes = activation_planes(ActivationFormat::f32, p.n_columns).n_bytes;
  return reinterpret_cast<const float*>(static_cast<const uint8_t*>(p.activations) + token * token_bytes);
}

// Turns four decoded rows into columns 4 * half to 4 * half + 3 of the panel.
inline void turn(FloatPanel& panel, int half, size_t n_columns) {
  for (size_t c = 0; c < n_columns; c += 4) {
    float32x4_t in[4];
    for (int r = 0; r < 4; ++r) in[r] = vld1q_f32(panel.values[r] + c);
    float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(in[0], in[1])),
                b = vreinterpretq_f64_f32(vtrn2q_f32(in[0], in[1]));
    float64x2_t d = vreinterpretq_f64_f32(vtrn1q_f32(in[2], in[3])),
                e = vreinterpretq_f64_f32(vtrn2q_f32(in[2], in[3]));
    vst1q_f32(panel.turned[c] + 4 * half, vreinterpretq_f32_f64(vtrn1q_f64(a, d)));
    vst1q_f32(panel.turned[c + 1] + 4 * half, vreinterpretq_f32_f64(vtrn1q_f64(b, e)));
    vst1q_f32(panel.turned[c + 2] + 4 * half, vreinterpretq_f32_f64(vtrn2q_f64(a, d)));
    vst1q_f32(panel.turned[c + 3] + 4 * half, vreinterpretq_f32_f64(vtrn2q_f64(b, e)));
  }
}

// n_columns (at most 256) values of one row from `column` on.
inline void decode_part(const MatrixProduct& p, const TensorTypeInfo& type, size_t row, size_t column,
                        size_t n_columns, float* values) {
  const size_t first = (row * p.n_columns + column) / type.n_values_per_block;
  auto from = static_cast<const uint8_t*>(p.weights) + first * type.n_bytes_per_block;
  type.decode(from, values, n_columns);
}

template <int n_tokens>
inline void multiply_tile(const FloatPanel& panel, const float* const* x, size_t n_columns,
                          float32x4_t (&out)[kTileTokens][2]) {
  size_t c = 0;
  for (; c + 4 <= n_columns; c += 4) {
    float32x4_t activations[n_tokens];
    for (int t = 0; t < n_tokens; ++t) activations[t] = vld1q_f32(x[t] + c);
#define EDGELLM_MULTIPLY_COLUMN(i)                                              \
  for (int half = 0; half < 2; ++half) {                                        \
    float32x4_t weights = vld1q_f32(panel.turned[c + i] + 4 * half);            \
    for (int t = 0; t < n_tokens; ++t)                                          \
      out[t][half] = vfmaq_laneq_f32(out[t][half], weights, activations[t], i); \
  }
    EDGELLM_MULTIPLY_COLUMN(0)
    EDGELLM_MULTIPLY_COLUMN(1) EDGELLM_MULTIPLY_COLUMN(2) EDGELLM_MULTIPLY_COLUMN(3)
#undef EDGELLM_MULTIPLY_COLUMN
  }
  for (; c < n_columns; ++c)
    for (int half = 0; half < 2; ++half)
      for (int t = 0; t < n_tokens; ++t)
        out[t][half] = vfmaq_n_f32(out[t][half], vld1q_f32(panel.turned[c] + 4 * half), x[t][c]);
}

void panel_product(const MatrixProduct& p) {
  const TensorTypeInfo& type = info(p.type);
  FloatPanel& panel = *static_cast<FloatPanel*>(p.scratch);
  memset(&panel, 0, sizeof(panel));
  for (size_t row = p.first_row; row < p.end_row; row += kPanelRows) {
    const size_t n_rows = p.end_row - row < kPanelRows ? p.end_row - row : kPanelRows;
    for (size_t column = 0; column < p.n_columns; column += kPanelColumns) {
      const size_t left = p.n_columns - column, n_columns = left < kPanelColumns ? left : kPanelColumns;
      for (size_t r = 0; r < n_rows; ++r) {
        decode_part(p, type, row + r, column, n_columns, panel.values[r % 4]);
        if (r % 4 == 3 || r + 1 == n_rows) turn(panel, int(r / 4), n_columns);
      }
      for (size_t token = 0; token < p.n_tokens; token += kTileTokens) {
        const size_t n_left = p.n_tokens - token, n_valid = n_left < kTileTokens ? n_left : kTileTokens;
        const float* x[kTileTokens];
        for (size_t t = 0; t < kTileTokens; ++t)
          x[t] = token_values(p, token + (t < n_valid ? t : n_valid - 1)) + column;
        float32x4_t out[kTileTokens][2];
        for (auto& sums : out) sums[0] = sums[1] = vdupq_n_f32(0);
        if (n_valid > 2)
          multiply_tile<4>(panel, x, n_columns, out);
        else
          multiply_tile<2>(panel, x, n_columns, out);
        for (size_t t = 0; t < n_valid; ++t) {
          float* to = p.output + (token + t) * p.output_stride + row;
          float rows[kPanelRows];
          vst1q_f32(rows, out[t][0]);
          vst1q_f32(rows + 4, out[t][1]);
          for (size_t r = 0; r < n_rows; ++r) to[r] = column == 0 ? rows[r] : to[r] + rows[r];
        }
      }
    }
  }
}

template <typename Weights>
void row_product(const MatrixProduct& p) {
  auto weights = static_cast<const typename Weights::Element*>(p.weights);
  for (size_t row = p.first_row; row < p.end_row; ++row)
    for (size_t token = 0; token < p.n_tokens; ++token)
      p.output[token * p.output_stride + row] =
          dot<Weights>(weights + row * p.n_columns, token_values(p, token), p.n_columns);
}

void decoded_row_product(const MatrixProduct& p) {
  const TensorTypeInfo& type = info(p.type);
  auto values = static_cast<float*>(p.scratch);
  for (size_t row = p.first_row; row < p.end_row; ++row) {
    decode_part(p, type, row, 0, p.n_columns, values);
    for (size_t token = 0; token < p.n_tokens; ++token)
      p.output[token * p.output_stride + row] = dot<Floats>(values, token_values(p, token), p.n_columns);
  }
}

}  // namespace

void float_product(const MatrixProduct& p) {
  if (p.n_tokens >= kPanelTokens) return panel_product(p);
  switch (p.type) {
    case TensorType::F32:
      return row_product<Floats>(p);
    case TensorType::F16:
      return row_product<Halves>(p);
    case TensorType::BF16:
      return row_product<Bfloats>(p);
    default:
      return decoded_row_product(p);
  }
}

size_t float_scratch_bytes(size_t n_columns) {
  const size_t row = n_columns * sizeof(float);
  return row > sizeof(FloatPanel) ? row : sizeof(FloatPanel);
}

}  // namespace edgellm::neon
