// The float operations of the kernel table, written once over a vector type. A folder's float_ops.cpp
// defines, in the anonymous namespace of edgellm::EDGELLM_ISA, the vector of its instruction set and the
// handful of functions below, and includes this file, so that all of it is compiled with that folder's flags
// and no other folder can link to it:
//
//   Vector, kWidth, splat, load, store, multiply_add(a, b, c) = a * b + c, maximum, minimum, sum, largest,
//   load_halves, store_halves, load_bytes, store_sums_of_four, opaque (hides a value from the optimizer),
//   kTileVectors
//
// No std:: here: the linker could hand this folder's copy of an inline function to code for lesser CPUs.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/base/float16.h"

namespace edgellm::EDGELLM_ISA {
namespace {

typedef int32_t IntVector __attribute__((vector_size(sizeof(float) * kWidth)));
typedef int8_t ByteVector __attribute__((vector_size(kWidth), aligned(1), may_alias));

// e^x to about 1e-7 relative, for x in [-87, 88]; outside, the value at the nearer end. 2^n * e^r with n the
// nearest integer to x / ln 2: adding 1.5 * 2^23 leaves n in the low mantissa bits; ln 2 is subtracted in two
// parts.
inline Vector exponential(Vector x) {
  x = minimum(maximum(x, splat(-87.0f)), splat(88.0f));
  const Vector magic = splat(12582912.0f);
  Vector shifted = multiply_add(x, splat(1.44269504f), magic);
  Vector n = shifted - magic;
  Vector r = multiply_add(n, splat(-0.693359375f), x);
  r = multiply_add(n, splat(2.12194440e-4f), r);
  Vector p = splat(1.0f / 5040);
  p = multiply_add(p, r, splat(1.0f / 720));
  p = multiply_add(p, r, splat(1.0f / 120));
  p = multiply_add(p, r, splat(1.0f / 24));
  p = multiply_add(p, r, splat(1.0f / 6));
  p = multiply_add(p, r, splat(0.5f));
  p = multiply_add(p, r, splat(1.0f));
  p = multiply_add(p, r, splat(1.0f));
  IntVector power = ((IntVector)shifted + 127) << 23;
  return p * (Vector)power;
}

inline Vector silu(Vector x) {
  return x / (splat(1.0f) + exponential(splat(0.0f) - x));
}

// x * (1 + tanh(u)) / 2 = x / (1 + e^(-2u)), u = sqrt(2 / pi) * (x + 0.044715 x^3).
inline Vector gelu_by_tanh(Vector x) {
  Vector cubic = multiply_add(x * x, splat(-2 * 0.79788456f * 0.044715f), splat(-2 * 0.79788456f));
  return x / (splat(1.0f) + exponential(x * cubic));
}

// The first n < kWidth values, the rest zero.
inline Vector load_first(const float* x, size_t n) {
  float values[kWidth] = {};
  memcpy(values, x, n * sizeof(float));
  return load(values);
}

inline void store_first(Vector x, float* y, size_t n) {
  float values[kWidth];
  store(x, values);
  memcpy(y, values, n * sizeof(float));
}

template <Vector (*activation)(Vector)>
inline void activation_times(const float* gate, const float* up, float* y, size_t n) {
  size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(activation(load(gate + i)) * load(up + i), y + i);
  if (i < n) store_first(activation(load_first(gate + i, n - i)) * load_first(up + i, n - i), y + i, n - i);
}

}  // namespace

void rms_norm(const float* x, const float* weight, float epsilon, float* y, size_t n) {
  Vector squares[4] = {splat(0.0f), splat(0.0f), splat(0.0f), splat(0.0f)};
  size_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
    for (size_t k = 0; k < 4; ++k) {
      Vector v = load(x + i + k * kWidth);
      squares[k] = multiply_add(v, v, squares[k]);
    }
  }
  for (; i < n; i += kWidth) {
    Vector v = i + kWidth <= n ? load(x + i) : load_first(x + i, n - i);
    squares[0] = multiply_add(v, v, squares[0]);
  }
  float mean = sum((squares[0] + squares[1]) + (squares[2] + squares[3])) / float(n);
  Vector factor = splat(1.0f / __builtin_sqrtf(mean + epsilon));
  for (i = 0; i + kWidth <= n; i += kWidth) store(load(x + i) * factor * load(weight + i), y + i);
  if (i < n) store_first(load_first(x + i, n - i) * factor * load_first(weight + i, n - i), y + i, n - i);
}

void rope_interleaved(float* __restrict head, const float* __restrict cosine, const float* __restrict sine,
                      size_t n_rotated) {
  for (size_t i = 0; i < n_rotated / 2; ++i) {
    float a = head[2 * i], b = head[2 * i + 1];
    head[2 * i] = a * cosine[i] - b * sine[i];
    head[2 * i + 1] = a * sine[i] + b * cosine[i];
  }
}

void rope_halves(float* __restrict head, const float* __restrict cosine, const float* __restrict sine,
                 size_t n_rotated) {
  size_t half = n_rotated / 2;
  float* __restrict low = head;
  float* __restrict high = head + half;
  for (size_t i = 0; i < half; ++i) {
    float a = low[i], b = high[i];
    low[i] = a * cosine[i] - b * sine[i];
    high[i] = a * sine[i] + b * cosine[i];
  }
}

void silu_times(const float* gate, const float* up, float* y, size_t n) {
  activation_times<silu>(gate, up, y, n);
}

void gelu_times(const float* gate, const float* up, float* y, size_t n) {
  activation_times<gelu_by_tanh>(gate, up, y, n);
}

void add(const float* x, float* y, size_t n) {
  size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(load(y + i) + load(x + i), y + i);
  for (; i < n; ++i) y[i] += x[i];
}

void halves_from_floats(const float* x, uint16_t* y, size_t n) {
  size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store_halves(load(x + i), y + i);
  for (; i < n; ++i) y[i] = half_from_float(x[i]);
}

// Bit by bit what the generic table does: scale = largest / 127, codes rounded with halves away from zero.
void q8_0_from_floats(const float* x, void* blocks, size_t n) {
  constexpr size_t kBlock = 32, kBlockBytes = 34;
  uint8_t* block = static_cast<uint8_t*>(blocks);
  for (size_t i = 0; i < n; i += kBlock, block += kBlockBytes) {
    Vector magnitude = splat(0.0f);
    for (size_t k = 0; k < kBlock; k += kWidth) {
      Vector v = load(x + i + k);
      magnitude = maximum(magnitude, maximum(v, splat(0.0f) - v));
    }
    float scale = largest(magnitude) / 127.0f;
    float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    uint16_t half = half_from_float(scale);
    memcpy(block, &half, sizeof(half));
    for (size_t k = 0; k < kBlock; k += kWidth) {
      // Opaque, or the product and the sum below would be fused and round otherwise.
      Vector v = opaque(load(x + i + k) * splat(inverse));
      IntVector half_away = ((IntVector)v & INT32_MIN) | (IntVector)splat(0.49999997f);
      IntVector rounded = __builtin_convertvector(v + (Vector)half_away, IntVector);
      *reinterpret_cast<ByteVector*>(block + 2 + k) = __builtin_convertvector(rounded, ByteVector);
    }
  }
}

}  // namespace edgellm::EDGELLM_ISA

#include "runtime/kernels/float_ops_attention.inl.h"
#include "runtime/kernels/float_ops_encoder.inl.h"
