#include "core/blocks/binary.h"
#include "runtime/kernels/neon/panel.h"
#include "runtime/kernels/neon/unpack.inl.h"

namespace edgellm::neon {
namespace {

inline void store_group(int8x16x2_t codes, int8_t* to) {
  vst1q_s8(to, codes.val[0]);
  vst1q_s8(to + 16, codes.val[1]);
}

template <typename Block>
void unpack_blocks_of_32(const uint8_t* blocks, size_t row_bytes, size_t n_rows, size_t n_columns,
                         Panel& panel) {
  for (size_t r = 0; r < n_rows; ++r, blocks += row_bytes) {
    auto block = reinterpret_cast<const Block*>(blocks);
    for (size_t b = 0; b < n_columns / 32; ++b, ++block) {
      store_group(codes_of(*block), panel.rows[r] + 32 * b);
      panel.scales[b][r] = float_from_half(block->scale);
      panel.mins[b][r] = min_of(*block);
    }
  }
}

void unpack_blocks_of_64(const uint8_t* blocks, size_t row_bytes, size_t n_rows, size_t n_columns,
                         Panel& panel) {
  const uint8x16_t three = vdupq_n_u8(3);
  for (size_t r = 0; r < n_rows; ++r, blocks += row_bytes) {
    auto block = reinterpret_cast<const BlockQ2_0*>(blocks);
    for (size_t b = 0; b < n_columns / 64; ++b, ++block) {
      const uint8x16_t quads = vld1q_u8(block->codes);
      int8x16x4_t codes = {as_signed(vandq_u8(quads, three)),
                           as_signed(vandq_u8(vshrq_n_u8(quads, 2), three)),
                           as_signed(vandq_u8(vshrq_n_u8(quads, 4), three)), as_signed(vshrq_n_u8(quads, 6))};
      for (auto& quarter : codes.val) quarter = vsubq_s8(quarter, vdupq_n_s8(1));
      vst4q_s8(panel.rows[r] + 64 * b, codes);
      panel.scales[2 * b][r] = panel.scales[2 * b + 1][r] = float_from_half(block->scale);
    }
  }
}

template <typename Scales>
inline void store_scales(const Scales* scales, int n, size_t r, Panel& panel) {
  for (int i = 0; i < n; ++i) panel.sub_scales[i][r] = scales[i];
}

// The codes of a group, with what is folded into them: the offset, or the sub-blocks' scales.
template <int g>
inline int8x16x2_t panel_group(const BlockQ4_K& block, const int8_t*) {
  return group<g>(block);
}
template <int g>
inline int8x16x2_t panel_group(const BlockQ5_K& block, const int8_t*) {
  return group<g>(block);
}
template <int g>
inline int8x16x2_t panel_group(const BlockIQ4_XS& block, const int8_t*) {
  return group<g>(block);
}
template <int g>
inline int8x16x2_t panel_group(const BlockQ6_K& block, const int8_t*) {
  int8x16x2_t codes = group<g>(block);
  return {vsubq_s8(codes.val[0], vdupq_n_s8(32)), vsubq_s8(codes.val[1], vdupq_n_s8(32))};
}
template <int g>
inline int8x16x2_t panel_group(const BlockQ2_K& block, const int8_t* scales) {
  int8x16x2_t codes = group<g>(block);
  return {vmulq_s8(codes.val[0], vdupq_n_s8(scales[2 * g])),
          vmulq_s8(codes.val[1], vdupq_n_s8(scales[2 * g + 1]))};
}
// scales: negated, since 32 * 4 is one more than a signed byte holds but -32 * 4 is not.
template <int g>
inline int8x16x2_t panel_group(const BlockQ3_K& block, const int8_t* scales) {
  int8x16x2_t codes = group<g>(block);
  for (int half = 0; half < 2; ++half) {
    int8x16_t code = vsubq_s8(vshrq_n_s8(codes.val[half], 3), vdupq_n_s8(4));
    codes.val[half] = vmulq_s8(code, vdupq_n_s8(scales[2 * g + half]));
  }
  return codes;
}

template <typename Block>
inline void store_codes(const Block& block, const int8_t* scales, int8_t* to) {
  for_each_group([&](auto g) __attribute__((always_inline)) {
    store_group(panel_group<g.value>(block, scales), to + 32 * g.value);
  });
}

inline void unpack_row(const BlockQ2_K& block, size_t r, Panel& panel) {
  uint8x16_t packed = vld1q_u8(block.sub_scales);
  int8_t scales[16];
  vst1q_s8(scales, as_signed(low_halves(packed)));
  for (int i = 0; i < 16; ++i) panel.sub_mins[i][r] = block.sub_scales[i] >> 4;
  panel.scales[0][r] = float_from_half(block.scale);
  panel.mins[0][r] = float_from_half(block.min);
  store_codes(block, scales, panel.rows[r]);
}
inline void unpack_row(const BlockQ3_K& block, size_t r, Panel& panel) {
  int8_t scales[16];
  vst1q_s8(scales, vnegq_s8(signed_scales(block)));
  panel.scales[0][r] = -float_from_half(block.scale);
  store_codes(block, scales, panel.rows[r]);
}
template <typename Block>
inline void unpack_row_with_mins(const Block& block, size_t r, Panel& panel) {
  uint8_t scales[8], mins[8];
  ScalesAndMins packed = scales_and_mins(block.sub_scales);
  vst1_u8(scales, packed.scales);
  vst1_u8(mins, packed.mins);
  store_scales(scales, 8, r, panel);
  for (int i = 0; i < 8; ++i) panel.sub_mins[i][r] = mins[i];
  panel.scales[0][r] = float_from_half(block.scale);
  panel.mins[0][r] = float_from_half(block.min);
  store_codes(block, nullptr, panel.rows[r]);
}
inline void unpack_row(const BlockQ4_K& block, size_t r, Panel& panel) {
  unpack_row_with_mins(block, r, panel);
}
inline void unpack_row(const BlockQ5_K& block, size_t r, Panel& panel) {
  unpack_row_with_mins(block, r, panel);
}
inline void unpack_row(const BlockQ6_K& block, size_t r, Panel& panel) {
  store_scales(block.sub_scales, 16, r, panel);
  panel.scales[0][r] = float_from_half(block.scale);
  store_codes(block, nullptr, panel.rows[r]);
}
inline void unpack_row(const BlockIQ4_XS& block, size_t r, Panel& panel) {
  int8_t scales[8];
  vst1_s8(scales, signed_scales(block));
  store_scales(scales, 8, r, panel);
  panel.scales[0][r] = float_from_half(block.scale);
  store_codes(block, nullptr, panel.rows[r]);
}

template <typename Block>
void unpack_super_blocks(const uint8_t* blocks, size_t row_bytes, size_t n_rows, size_t, Panel& panel) {
  for (size_t r = 0; r < n_rows; ++r, blocks += row_bytes)
    unpack_row(*reinterpret_cast<const Block*>(blocks), r, panel);
}

}  // namespace

PanelFormat panel_format(TensorType type) {
  switch (type) {
    case TensorType::Q4_0:
      return {PanelForm::blocks_of_32, false, unpack_blocks_of_32<BlockQ4_0>};
    case TensorType::Q4_1:
      return {PanelForm::blocks_of_32, true, unpack_blocks_of_32<BlockQ4_1>};
    case TensorType::Q5_0:
      return {PanelForm::blocks_of_32, false, unpack_blocks_of_32<BlockQ5_0>};
    case TensorType::Q5_1:
      return {PanelForm::blocks_of_32, true, unpack_blocks_of_32<BlockQ5_1>};
    case TensorType::Q8_0:
      return {PanelForm::blocks_of_32, false, unpack_blocks_of_32<BlockQ8_0>};
    case TensorType::IQ4_NL:
      return {PanelForm::blocks_of_32, false, unpack_blocks_of_32<BlockIQ4_NL>};
    case TensorType::Q2_0:
      return {PanelForm::blocks_of_32, false, unpack_blocks_of_64};
    case TensorType::Q2_K:
      return {PanelForm::whole, true, unpack_super_blocks<BlockQ2_K>};
    case TensorType::Q3_K:
      return {PanelForm::whole, false, unpack_super_blocks<BlockQ3_K>};
    case TensorType::Q4_K:
      return {PanelForm::groups_of_32, true, unpack_super_blocks<BlockQ4_K>};
    case TensorType::Q5_K:
      return {PanelForm::groups_of_32, true, unpack_super_blocks<BlockQ5_K>};
    case TensorType::Q6_K:
      return {PanelForm::groups_of_16, false, unpack_super_blocks<BlockQ6_K>};
    case TensorType::IQ4_XS:
      return {PanelForm::groups_of_32, false, unpack_super_blocks<BlockIQ4_XS>};
    default:
      return panel_format_of_codebook(type);
  }
}

}  // namespace edgellm::neon
