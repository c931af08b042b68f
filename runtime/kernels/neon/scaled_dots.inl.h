// Dot products of a super-block's sub-blocks times their scales. They are summed across lanes by pairwise
// additions before they meet the scales: the integer multiplier of these CPUs serves one vector every second
// cycle, the adders two a cycle.
#include "runtime/kernels/neon/unpack.inl.h"

namespace edgellm::neon {
namespace {

inline int32x4_t dot16(int8x16_t weights, const int8_t* codes, const int32_t* start = &kZero) {
  return vdotq_s32(lane_from_memory(start), weights, vld1q_s8(codes));
}
// [sum of a, sum of b, sum of c, sum of d]
inline int32x4_t sums_of_four(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
  return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
}

// Dot products of the eight groups of 32, times their scales, still in four lanes.
template <typename Block>
inline int32x4_t scaled_dots_of_32(const Block& block, const int8_t* codes, int16x8_t scales) {
  int32x4_t dots[8];
  for_each_group([&](auto g) __attribute__((always_inline)) {
    int8x16x2_t weights = group<g.value>(block);
    dots[g.value] = vdotq_s32(dot16(weights.val[0], codes + 32 * g.value), weights.val[1],
                              vld1q_s8(codes + 32 * g.value + 16));
  });
  int32x4_t sum =
      vmulq_s32(sums_of_four(dots[0], dots[1], dots[2], dots[3]), vmovl_s16(vget_low_s16(scales)));
  return vmlaq_s32(sum, sums_of_four(dots[4], dots[5], dots[6], dots[7]), vmovl_high_s16(scales));
}

// Dot products of the sixteen groups of 16, begun at `start` ([16], or one zero for all), times their scales,
// still in four lanes.
template <bool kStarts, typename Block>
inline int32x4_t scaled_dots_of_16(const Block& block, const int8_t* codes, int8x16_t scales,
                                   const int32_t* start) {
  int32x4_t dots[16];
  for_each_group([&](auto g) __attribute__((always_inline)) {
    int8x16x2_t weights = group<g.value>(block);
    const int32_t* starts = kStarts ? start + 2 * g.value : &kZero;
    dots[2 * g.value] = dot16(weights.val[0], codes + 32 * g.value, starts);
    dots[2 * g.value + 1] = dot16(weights.val[1], codes + 32 * g.value + 16, starts + kStarts);
  });
  int16x8_t low = vmovl_s8(vget_low_s8(scales)), high = vmovl_high_s8(scales);
  int32x4_t sum = vmulq_s32(sums_of_four(dots[0], dots[1], dots[2], dots[3]), vmovl_s16(vget_low_s16(low)));
  sum = vmlaq_s32(sum, sums_of_four(dots[4], dots[5], dots[6], dots[7]), vmovl_high_s16(low));
  sum = vmlaq_s32(sum, sums_of_four(dots[8], dots[9], dots[10], dots[11]), vmovl_s16(vget_low_s16(high)));
  return vmlaq_s32(sum, sums_of_four(dots[12], dots[13], dots[14], dots[15]), vmovl_high_s16(high));
}

}  // namespace
}  // namespace edgellm::neon
