#include "core/blocks/plain.h"

#include <bit>
#include <cstring>

#include "core/base/float16.h"

namespace edgellm {

bool all_finite(const float* values, size_t n_values) {
  // A chunk is checked without a branch a value, so that the loop vectorizes.
  constexpr size_t kChunk = 1024;
  for (size_t begin = 0; begin < n_values; begin += kChunk) {
    size_t end = n_values - begin < kChunk ? n_values : begin + kChunk;
    uint32_t found = 0;
    for (size_t i = begin; i < end; ++i) {
      uint32_t bits;
      std::memcpy(&bits, values + i, 4);
      found |= uint32_t((bits & 0x7f800000u) == 0x7f800000u);
    }
    if (found) return false;
  }
  return true;
}

void decode_f32(const void* blocks, float* values, size_t n_values) {
  std::memcpy(values, blocks, 4 * n_values);
}

void decode_f16(const void* blocks, float* values, size_t n_values) {
  auto halves = static_cast<const uint16_t*>(blocks);
  // Branchless twin of float_from_half: shifting puts exponent and fraction in place, the product corrects
  // the bias (exact, also for subnormals), and an all-ones exponent is put back.
  for (size_t i = 0; i < n_values; ++i) {
    uint32_t half = halves[i], magnitude = (half & 0x7fffu) << 13;
    uint32_t bits = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
    bits |= magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
    values[i] = std::bit_cast<float>(bits | (half & 0x8000u) << 16);
  }
}

void decode_bf16(const void* blocks, float* values, size_t n_values) {
  auto numbers = static_cast<const uint16_t*>(blocks);
  for (size_t i = 0; i < n_values; ++i) values[i] = float_from_bfloat16(numbers[i]);
}

void decode_f64(const void* blocks, float* values, size_t n_values) {
  auto numbers = static_cast<const double*>(blocks);
  for (size_t i = 0; i < n_values; ++i) values[i] = float(numbers[i]);
}

void encode_f32(const float* values, const float*, void* blocks, size_t n_values) {
  std::memcpy(blocks, values, 4 * n_values);
}

void encode_f16(const float* values, const float*, void* blocks, size_t n_values) {
  auto halves = static_cast<uint16_t*>(blocks);
  // Branchless twin of half_from_float. Adding a power of two to a small value puts the unit in the last
  // place where the half's is, so the addition rounds; larger values round by integer carry.
  for (size_t i = 0; i < n_values; ++i) {
    uint32_t bits = std::bit_cast<uint32_t>(values[i]), sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    uint32_t small = std::bit_cast<uint32_t>(std::bit_cast<float>(bits) + 0.5f) - 0x3f000000u;
    uint32_t large = (bits + 0xfffu + (bits >> 13 & 1u) - 0x38000000u) >> 13;
    uint32_t half = bits < 0x38800000u ? small : large;
    half = bits >= 0x477fe000u ? 0x7bffu : half;
    half = bits > 0x7f800000u ? 0x7e00u : half;
    halves[i] = uint16_t(sign | half);
  }
}

void encode_bf16(const float* values, const float*, void* blocks, size_t n_values) {
  auto numbers = static_cast<uint16_t*>(blocks);
  for (size_t i = 0; i < n_values; ++i) {
    uint32_t bits = std::bit_cast<uint32_t>(values[i]);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    numbers[i] = uint16_t((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16 | 64u) : rounded);
  }
}

}  // namespace edgellm
