// F32, F16 and BF16 weights, and every type without an integer product of its own: rows become floats, for a
// few tokens one by one, for more a tile of rows and columns at a time.
#include <cstring>

#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx2/float_vector.h"
#include "runtime/kernels/avx2/products.h"

#define EDGELLM_ISA avx2
#include "runtime/kernels/float_tiles.inl.h"

namespace edgellm::avx2 {
namespace {

constexpr size_t kRowsAtOnce = 32, kColumnsAtOnce = 256;  // a multiple of every block
// Up to so many tokens turning tiles of weights costs more than it saves.
constexpr size_t kMostTokensRowByRow = 10;

inline Vector load_as_floats(const float* x) {
  return load(x);
}
inline float as_float(float x) {
  return x;
}

struct Half {
  uint16_t bits;
};
inline Vector load_as_floats(const Half* x) {
  return load_halves(&x->bits);
}
inline float as_float(Half x) {
  return _cvtsh_ss(x.bits);
}

struct Bfloat16 {
  uint16_t bits;
};
inline Vector load_as_floats(const Bfloat16* x) {
  __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline float as_float(Bfloat16 x) {
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(int32_t(x.bits) << 16)));
}

template <class Number>
inline float dot(const Number* weights, const float* x, size_t n) {
  Vector sums[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
  size_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
#pragma GCC unroll 4
    for (size_t k = 0; k < 4; ++k) {
      sums[k] = multiply_add(load_as_floats(weights + i + k * kWidth), load(x + i + k * kWidth), sums[k]);
    }
  }
  for (; i + kWidth <= n; i += kWidth)
    sums[0] = multiply_add(load_as_floats(weights + i), load(x + i), sums[0]);
  float rest = 0;
  for (; i < n; ++i) rest += as_float(weights[i]) * x[i];
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
}

template <class Number>
inline void decode_numbers(const void* numbers, float* y, size_t n) {
  const Number* from = static_cast<const Number*>(numbers);
  size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(load_as_floats(from + i), y + i);
  for (; i < n; ++i) y[i] = as_float(from[i]);
}

// The weights as rows of bytes.
struct Rows {
  const TensorTypeInfo& type;
  const uint8_t* bytes;
  size_t row_bytes;

  const uint8_t* at(size_t row, size_t column) const {
    return bytes + row * row_bytes + column / type.n_values_per_block * type.n_bytes_per_block;
  }
  void decode(size_t row, size_t column, size_t n, float* y) const {
    switch (type.type) {
      case TensorType::F32:
        return decode_numbers<float>(at(row, column), y, n);
      case TensorType::F16:
        return decode_numbers<Half>(at(row, column), y, n);
      case TensorType::BF16:
        return decode_numbers<Bfloat16>(at(row, column), y, n);
      default:
        return type.decode(at(row, column), y, n);
    }
  }
};

inline const float* activations_of(const MatrixProduct& p, size_t token) {
  const size_t row_bytes = activation_planes(ActivationFormat::f32, p.n_columns).n_bytes;
  return reinterpret_cast<const float*>(static_cast<const uint8_t*>(p.activations) + token * row_bytes);
}

template <class Number>
inline void multiply_row(const MatrixProduct& p, const void* weights, size_t row) {
  for (size_t t = 0; t < p.n_tokens; ++t) {
    p.output[t * p.output_stride + row] =
        dot(static_cast<const Number*>(weights), activations_of(p, t), p.n_columns);
  }
}

void multiply_row_by_row(const MatrixProduct& p, const Rows& rows, size_t first_row) {
  float* decoded = static_cast<float*>(p.scratch);
  for (size_t row = first_row; row < p.end_row; ++row) {
    switch (p.type) {
      case TensorType::F32:
        multiply_row<float>(p, rows.at(row, 0), row);
        break;
      case TensorType::F16:
        multiply_row<Half>(p, rows.at(row, 0), row);
        break;
      case TensorType::BF16:
        multiply_row<Bfloat16>(p, rows.at(row, 0), row);
        break;
      default:
        rows.type.decode(rows.at(row, 0), decoded, p.n_columns);
        multiply_row<float>(p, decoded, row);
    }
  }
}

// n_rows in whole vectors, at most kRowsAtOnce.
void multiply_tile_of_rows(const MatrixProduct& p, const Rows& rows, size_t first_row, size_t n_rows) {
  float* decoded = static_cast<float*>(p.scratch);         // [n_rows, kColumnsAtOnce]
  float* turned = decoded + kRowsAtOnce * kColumnsAtOnce;  // [columns, n_rows]
  float* output = p.output + first_row;
  const float* x = activations_of(p, 0);
  const size_t x_stride = size_t(activations_of(p, 1) - x);
  for (size_t column = 0; column < p.n_columns; column += kColumnsAtOnce) {
    const size_t n = p.n_columns - column < kColumnsAtOnce ? p.n_columns - column : kColumnsAtOnce;
    const size_t stride = (n + 3) / 4 * 4;
    for (size_t r = 0; r < n_rows; ++r) {
      float* to = decoded + r * stride;
      rows.decode(first_row + r, column, n, to);
      for (size_t i = n; i < stride; ++i) to[i] = 0;
    }
    transpose(decoded, stride, n_rows, stride, turned, n_rows);
    if (column == 0) {
      multiply<false>(x, x_stride, turned, n_rows, output, p.output_stride, p.n_tokens, n, n_rows);
    } else {
      multiply<true>(x + column, x_stride, turned, n_rows, output, p.output_stride, p.n_tokens, n, n_rows);
    }
  }
}

}  // namespace

size_t floats_scratch_bytes(size_t n_columns) {
  const size_t n = 2 * kRowsAtOnce * kColumnsAtOnce;
  return (n > n_columns ? n : n_columns) * sizeof(float);
}

void multiply_floats(const MatrixProduct& p) {
  const TensorTypeInfo& type = info(p.type);
  const Rows rows = {type, static_cast<const uint8_t*>(p.weights),
                     p.n_columns / type.n_values_per_block * type.n_bytes_per_block};
  size_t row = p.first_row;
  if (p.n_tokens > kMostTokensRowByRow) {
    while (p.end_row - row >= kWidth) {
      size_t n_rows = p.end_row - row < kRowsAtOnce ? (p.end_row - row) / kWidth * kWidth : kRowsAtOnce;
      multiply_tile_of_rows(p, rows, row, n_rows);
      row += n_rows;
    }
  }
  multiply_row_by_row(p, rows, row);
}

}  // namespace edgellm::avx2
