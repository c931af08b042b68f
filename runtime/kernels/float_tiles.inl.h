// Products of small float matrices, held in registers tile by tile. Written over the vector type that the
// including file defines in the anonymous namespace of edgellm::EDGELLM_ISA: Vector, kWidth, splat, load,
// store, multiply_add and kTileVectors (as many as leave room for kTileRows times as many sums in the
// registers).
#include <cstddef>

namespace edgellm::EDGELLM_ISA {
namespace {

constexpr size_t kTileRows = 6;

// c[ROWS, VECTORS] (+)= a[ROWS, n] * b[n, VECTORS], held in registers over n.
template <size_t ROWS, size_t VECTORS, bool ACCUMULATE>
inline void multiply_block(const float* a, size_t a_stride, const float* b, size_t b_stride, float* c,
                           size_t c_stride, size_t n) {
  Vector total[ROWS][VECTORS];
#pragma GCC unroll 8
  for (size_t r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (size_t v = 0; v < VECTORS; ++v) {
      total[r][v] = ACCUMULATE ? load(c + r * c_stride + v * kWidth) : splat(0.0f);
    }
  }
  for (size_t k = 0; k < n; ++k) {
    Vector row[VECTORS];
#pragma GCC unroll 8
    for (size_t v = 0; v < VECTORS; ++v) row[v] = load(b + k * b_stride + v * kWidth);
#pragma GCC unroll 8
    for (size_t r = 0; r < ROWS; ++r) {
      Vector factor = splat(a[r * a_stride + k]);
#pragma GCC unroll 8
      for (size_t v = 0; v < VECTORS; ++v) total[r][v] = multiply_add(factor, row[v], total[r][v]);
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (size_t v = 0; v < VECTORS; ++v) store(total[r][v], c + r * c_stride + v * kWidth);
  }
}

template <size_t ROWS, bool ACCUMULATE>
inline void multiply_rows(const float* a, size_t a_stride, const float* b, size_t b_stride, float* c,
                          size_t c_stride, size_t n, size_t n_columns) {
  size_t j = 0;
  for (; j + kTileVectors * kWidth <= n_columns; j += kTileVectors * kWidth) {
    multiply_block<ROWS, kTileVectors, ACCUMULATE>(a, a_stride, b + j, b_stride, c + j, c_stride, n);
  }
  for (; j + 2 * kWidth <= n_columns; j += 2 * kWidth) {
    multiply_block<ROWS, 2, ACCUMULATE>(a, a_stride, b + j, b_stride, c + j, c_stride, n);
  }
  if (j < n_columns) multiply_block<ROWS, 1, ACCUMULATE>(a, a_stride, b + j, b_stride, c + j, c_stride, n);
}

// c[n_rows, n_columns] (+)= a[n_rows, n] * b[n, n_columns]; n_columns in whole vectors.
template <bool ACCUMULATE>
void multiply(const float* a, size_t a_stride, const float* b, size_t b_stride, float* c, size_t c_stride,
              size_t n_rows, size_t n, size_t n_columns) {
  size_t r = 0;
  for (; r + kTileRows <= n_rows; r += kTileRows) {
    multiply_rows<kTileRows, ACCUMULATE>(a + r * a_stride, a_stride, b, b_stride, c + r * c_stride, c_stride,
                                         n, n_columns);
  }
  a += r * a_stride;
  c += r * c_stride;
  switch (n_rows - r) {
    case 5:
      return multiply_rows<5, ACCUMULATE>(a, a_stride, b, b_stride, c, c_stride, n, n_columns);
    case 4:
      return multiply_rows<4, ACCUMULATE>(a, a_stride, b, b_stride, c, c_stride, n, n_columns);
    case 3:
      return multiply_rows<3, ACCUMULATE>(a, a_stride, b, b_stride, c, c_stride, n, n_columns);
    case 2:
      return multiply_rows<2, ACCUMULATE>(a, a_stride, b, b_stride, c, c_stride, n, n_columns);
    case 1:
      return multiply_rows<1, ACCUMULATE>(a, a_stride, b, b_stride, c, c_stride, n, n_columns);
    default:
      return;
  }
}

// turned[n_columns, n_rows] from rows[n_rows, n_columns]; strides in floats.
void transpose(const float* rows, size_t stride, size_t n_rows, size_t n_columns, float* turned,
               size_t turned_stride) {
  typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
  const size_t whole_rows = n_rows / 4 * 4, whole_columns = n_columns / 4 * 4;
  for (size_t j = 0; j < whole_rows; j += 4) {
    for (size_t d = 0; d < whole_columns; d += 4) {
      const float* from = rows + j * stride + d;
      Four a = *(const Four*)from, b = *(const Four*)(from + stride);
      Four c = *(const Four*)(from + 2 * stride), e = *(const Four*)(from + 3 * stride);
      Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
           ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      Four ce_low = __builtin_shufflevector(c, e, 0, 4, 1, 5),
           ce_high = __builtin_shufflevector(c, e, 2, 6, 3, 7);
      float* to = turned + d * turned_stride + j;
      *(Four*)to = __builtin_shufflevector(ab_low, ce_low, 0, 1, 4, 5);
      *(Four*)(to + turned_stride) = __builtin_shufflevector(ab_low, ce_low, 2, 3, 6, 7);
      *(Four*)(to + 2 * turned_stride) = __builtin_shufflevector(ab_high, ce_high, 0, 1, 4, 5);
      *(Four*)(to + 3 * turned_stride) = __builtin_shufflevector(ab_high, ce_high, 2, 3, 6, 7);
    }
    for (size_t d = whole_columns; d < n_columns; ++d)
      for (size_t r = j; r < j + 4; ++r) turned[d * turned_stride + r] = rows[r * stride + d];
  }
  for (size_t r = whole_rows; r < n_rows; ++r)
    for (size_t d = 0; d < n_columns; ++d) turned[d * turned_stride + r] = rows[r * stride + d];
}

}  // namespace
}  // namespace edgellm::EDGELLM_ISA
