// Conversions of single values between float and the 16-bit formats, round to nearest even, bit-exact with
// hardware. Static on purpose: kernel folders compile this header with flags of their own, and the linker
// must never hand one folder's copy to another.
#pragma once

#include <bit>
#include <cstdint>

namespace edgellm {

static inline float float_from_half(uint16_t half) {
#if defined(__aarch64__)
  return static_cast<float>(std::bit_cast<__fp16>(half));
#else
  uint32_t sign = uint32_t(half & 0x8000u) << 16, exponent = (half >> 10) & 31u, fraction = half & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent) return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
  float magnitude = float(fraction) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
#endif
}

static inline uint16_t half_from_float(float value) {
#if defined(__aarch64__)
  return std::bit_cast<uint16_t>(static_cast<__fp16>(value));
#else
  uint32_t bits = std::bit_cast<uint32_t>(value), sign = (bits >> 16) & 0x8000u;
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u) return uint16_t(sign | 0x7e00u | ((bits >> 13) & 0x3ffu));
  if (bits >= 0x477ff000u) return uint16_t(sign | 0x7c00u);
  if (bits < 0x38800000u) {
    // Adding a power of two puts the half's unit in the last place of the float, so the addition rounds.
    float rounded = std::bit_cast<float>(bits) + 0.5f;
    return uint16_t(sign | (std::bit_cast<uint32_t>(rounded) - 0x3f000000u));
  }
  bits += 0xfffu + ((bits >> 13) & 1u);
  return uint16_t(sign | ((bits - 0x38000000u) >> 13));
#endif
}

static inline float float_from_bfloat16(uint16_t value) {
  return std::bit_cast<float>(uint32_t(value) << 16);
}

static inline uint16_t bfloat16_from_float(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t((bits >> 16) | 64u);
  return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace edgellm
