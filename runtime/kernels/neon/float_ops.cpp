#include <arm_neon.h>
#include <cstring>

#include "runtime/kernels/neon/neon.h"

namespace edgellm::neon {
namespace {

using Vector = float32x4_t;
constexpr size_t kWidth = 4;
constexpr size_t kTileVectors = 4;

inline Vector splat(float x) {
  return vdupq_n_f32(x);
}
inline Vector load(const float* x) {
  return vld1q_f32(x);
}
inline void store(Vector x, float* y) {
  vst1q_f32(y, x);
}
inline Vector multiply_add(Vector a, Vector b, Vector c) {
  return vfmaq_f32(c, a, b);
}
inline Vector maximum(Vector a, Vector b) {
  return vmaxq_f32(a, b);
}
inline Vector minimum(Vector a, Vector b) {
  return vminq_f32(a, b);
}
inline float sum(Vector x) {
  return vaddvq_f32(x);
}
inline float largest(Vector x) {
  return vmaxvq_f32(x);
}
inline Vector opaque(Vector x) {
  __asm__("" : "+w"(x));
  return x;
}

inline Vector load_halves(const uint16_t* x) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x)));
}
inline void store_halves(Vector x, uint16_t* y) {
  vst1_u16(y, vreinterpret_u16_f16(vcvt_f16_f32(x)));
}

inline Vector load_bytes(const int8_t* x) {
  int32_t four;
  memcpy(&four, x, sizeof(four));
  int16x8_t wide = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
}

inline void store_sums_of_four(Vector a, Vector b, Vector c, Vector d, float* y) {
  vst1q_f32(y, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}

}  // namespace
}  // namespace edgellm::neon

#define EDGELLM_ISA neon
#include "runtime/kernels/float_ops.inl.h"
