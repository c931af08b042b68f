// Products with float activations. Many tokens: panels of 32 rows are widened to float once, columns first,
// and a tile of 32 rows and 12 tokens stays in registers. Few tokens: row by row, for memory is the limit.
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx512/products.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

constexpr size_t kRows = 32;      // of a panel
constexpr size_t kTokens = 12;    // of a tile
constexpr size_t kColumns = 256;  // of a panel: 32 KB; a multiple of every block
constexpr size_t kMinTokensOfPanels = 4;

inline __mmask16 first_lanes(size_t n) {
  return n >= 16 ? __mmask16(0xffff) : __mmask16((1u << n) - 1);
}

// 16 values of a row from a column on; zero where the mask is.
inline __m512 widen_f32(const uint8_t* row, size_t column, __mmask16 mask) {
  return _mm512_maskz_loadu_ps(mask, row + 4 * column);
}
inline __m512 widen_f16(const uint8_t* row, size_t column, __mmask16 mask) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row + 2 * column));
}
inline __m512 widen_bf16(const uint8_t* row, size_t column, __mmask16 mask) {
  __m512i bits = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, row + 2 * column));
  return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
}
using Widen = __m512 (*)(const uint8_t* row, size_t column, __mmask16 mask);

inline const float* token_row(const MatrixProduct& p, size_t token_bytes, size_t token) {
  return reinterpret_cast<const float*>(static_cast<const uint8_t*>(p.activations) + token * token_bytes);
}

// One row against one token. Rows are read in the order in which they lie, which memory likes best; sharing
// the activations' loads between rows would gain nothing.
template <Widen widen>
inline float multiply_row(const uint8_t* row, size_t bytes_per_value, const float* x, size_t n_columns) {
  __m512 acc[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
  size_t column = 0;
  for (; column + 64 <= n_columns; column += 64) {
    prefetch(row + column * bytes_per_value + kPrefetchBytes, 64 * bytes_per_value);
    for (size_t i = 0; i < 4; ++i)
      acc[i] =
          _mm512_fmadd_ps(widen(row, column + 16 * i, 0xffff), _mm512_loadu_ps(x + column + 16 * i), acc[i]);
  }
  for (; column < n_columns; column += 16) {
    const __mmask16 mask = first_lanes(n_columns - column);
    acc[0] = _mm512_fmadd_ps(widen(row, column, mask), _mm512_maskz_loadu_ps(mask, x + column), acc[0]);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(acc[0], acc[1]), _mm512_add_ps(acc[2], acc[3])));
}

template <Widen widen>
void multiply_few(const MatrixProduct& p, size_t row_bytes, size_t token_bytes) {
  const size_t bytes_per_value = row_bytes / p.n_columns;
  for (size_t row = p.first_row; row < p.end_row; ++row) {
    auto weights = static_cast<const uint8_t*>(p.weights) + row * row_bytes;
    for (size_t token = 0; token < p.n_tokens; ++token)
      p.output[token * p.output_stride + row] =
          multiply_row<widen>(weights, bytes_per_value, token_row(p, token_bytes, token), p.n_columns);
  }
}

// Types that are decoded first: a row at a time, in scratch.
void multiply_few_decoded(const MatrixProduct& p, size_t row_bytes, size_t token_bytes,
                          DecodeFunction decode) {
  auto values = static_cast<float*>(p.scratch);
  for (size_t row = p.first_row; row < p.end_row; ++row) {
    decode(static_cast<const uint8_t*>(p.weights) + row * row_bytes, values, p.n_columns);
    for (size_t token = 0; token < p.n_tokens; ++token)
      p.output[token * p.output_stride + row] = multiply_row<widen_f32>(
          reinterpret_cast<const uint8_t*>(values), 0, token_row(p, token_bytes, token), p.n_columns);
  }
}

// panel: [n_columns rounded up to 16, 32 rows] from n_rows rows, row_bytes apart; zero for rows that are not
// there.
template <Widen widen>
void fill_panel(const uint8_t* rows, size_t row_bytes, size_t n_rows, size_t first_column, size_t n_columns,
                float* panel) {
  for (size_t half = 0; half < kRows; half += 16) {
    for (size_t column = 0; column < n_columns; column += 16) {
      const __mmask16 mask = first_lanes(n_columns - column);
      __m512i units[16];
      for (size_t r = 0; r < 16; ++r) {
        units[r] =
            half + r < n_rows
                ? _mm512_castps_si512(widen(rows + (half + r) * row_bytes, first_column + column, mask))
                : _mm512_setzero_si512();
      }
      transpose(units);
      for (size_t c = 0; c < 16; ++c) _mm512_store_si512(panel + (column + c) * kRows + half, units[c]);
    }
  }
}

// Adds the panel's products with n_tokens tokens to output, or sets output where `first`.
template <size_t n_tokens>
void multiply_tile(const float* panel, size_t n_columns, const float* x, size_t x_stride, float* output,
                   size_t output_stride, __mmask16 low_rows, __mmask16 high_rows, bool first) {
  __m512 acc[n_tokens][2];
  for (size_t t = 0; t < n_tokens; ++t) acc[t][0] = acc[t][1] = _mm512_setzero_ps();
  for (size_t k = 0; k < n_columns; ++k) {
    __m512 low = _mm512_load_ps(panel + k * kRows), high = _mm512_load_ps(panel + k * kRows + 16);
    for (size_t t = 0; t < n_tokens; ++t) {
      __m512 value = _mm512_set1_ps(x[t * x_stride + k]);
      acc[t][0] = _mm512_fmadd_ps(low, value, acc[t][0]);
      acc[t][1] = _mm512_fmadd_ps(high, value, acc[t][1]);
    }
  }
  for (size_t t = 0; t < n_tokens; ++t) {
    float* y = output + t * output_stride;
    if (!first) {
      acc[t][0] = _mm512_add_ps(acc[t][0], _mm512_maskz_loadu_ps(low_rows, y));
      acc[t][1] = _mm512_add_ps(acc[t][1], _mm512_maskz_loadu_ps(high_rows, y + 16));
    }
    _mm512_mask_storeu_ps(y, low_rows, acc[t][0]);
    _mm512_mask_storeu_ps(y + 16, high_rows, acc[t][1]);
  }
}

using Tile = void (*)(const float*, size_t, const float*, size_t, float*, size_t, __mmask16, __mmask16, bool);
constexpr Tile kTiles[kTokens + 1] = {
    nullptr,           multiply_tile<1>,  multiply_tile<2>, multiply_tile<3>, multiply_tile<4>,
    multiply_tile<5>,  multiply_tile<6>,  multiply_tile<7>, multiply_tile<8>, multiply_tile<9>,
    multiply_tile<10>, multiply_tile<11>, multiply_tile<12>};

void multiply_many(const MatrixProduct& p, size_t row_bytes, size_t token_bytes, const TensorTypeInfo& type) {
  auto panel = static_cast<float*>(p.scratch), decoded = panel + kRows * kColumns;
  for (size_t row = p.first_row; row < p.end_row; row += kRows) {
    const size_t n_rows = p.end_row - row < kRows ? p.end_row - row : kRows;
    const __mmask16 low_rows = first_lanes(n_rows),
                    high_rows = n_rows > 16 ? first_lanes(n_rows - 16) : __mmask16(0);
    auto rows = static_cast<const uint8_t*>(p.weights) + row * row_bytes;
    for (size_t column = 0; column < p.n_columns; column += kColumns) {
      const size_t n = p.n_columns - column < kColumns ? p.n_columns - column : kColumns;
      switch (p.type) {
        case TensorType::F32:
          fill_panel<widen_f32>(rows, row_bytes, n_rows, column, n, panel);
          break;
        case TensorType::F16:
          fill_panel<widen_f16>(rows, row_bytes, n_rows, column, n, panel);
          break;
        case TensorType::BF16:
          fill_panel<widen_bf16>(rows, row_bytes, n_rows, column, n, panel);
          break;
        default: {
          const size_t offset = column / type.n_values_per_block * type.n_bytes_per_block;
          for (size_t r = 0; r < n_rows; ++r)
            type.decode(rows + r * row_bytes + offset, decoded + r * kColumns, n);
          fill_panel<widen_f32>(reinterpret_cast<const uint8_t*>(decoded), 4 * kColumns, n_rows, 0, n, panel);
        }
      }
      for (size_t token = 0; token < p.n_tokens; token += kTokens) {
        const size_t n_tokens = p.n_tokens - token < kTokens ? p.n_tokens - token : kTokens;
        kTiles[n_tokens](panel, n, token_row(p, token_bytes, token) + column, token_bytes / 4,
                         p.output + token * p.output_stride + row, p.output_stride, low_rows, high_rows,
                         column == 0);
      }
    }
  }
}

}  // namespace

size_t float_scratch_bytes(size_t n_columns) {
  size_t panels = 2 * kRows * kColumns, row = (n_columns + 15) / 16 * 16;
  return (panels > row ? panels : row) * sizeof(float);
}

void multiply_floats(const MatrixProduct& p) {
  const TensorTypeInfo& type = info(p.type);
  const size_t row_bytes = p.n_columns / type.n_values_per_block * type.n_bytes_per_block;
  const size_t token_bytes = activation_planes(ActivationFormat::f32, p.n_columns).n_bytes;
  if (p.n_tokens >= kMinTokensOfPanels) return multiply_many(p, row_bytes, token_bytes, type);
  switch (p.type) {
    case TensorType::F32:
      return multiply_few<widen_f32>(p, row_bytes, token_bytes);
    case TensorType::F16:
      return multiply_few<widen_f16>(p, row_bytes, token_bytes);
    case TensorType::BF16:
      return multiply_few<widen_bf16>(p, row_bytes, token_bytes);
    default:
      return multiply_few_decoded(p, row_bytes, token_bytes, type.decode);
  }
}

}  // namespace edgellm::avx512
