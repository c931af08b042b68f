#include "runtime/kernels/neon/codebook_codes.inl.h"
#include "runtime/kernels/neon/panel.h"
#include "runtime/kernels/neon/unpack.inl.h"

namespace edgellm::neon {
namespace {

inline void store_scales(int8x8_t scales, size_t r, Panel& panel) {
  int8_t values[8];
  vst1_s8(values, scales);
  for (int i = 0; i < 8; ++i) panel.sub_scales[i][r] = values[i];
}
inline void store_scales(int8x16_t scales, size_t r, Panel& panel) {
  int8_t values[16];
  vst1q_s8(values, scales);
  for (int i = 0; i < 16; ++i) panel.sub_scales[i][r] = values[i];
}

template <typename Block>
void unpack(const uint8_t* blocks, size_t row_bytes, size_t n_rows, size_t, Panel& panel) {
  for (size_t r = 0; r < n_rows; ++r, blocks += row_bytes) {
    const Apart<Block> block(*reinterpret_cast<const Block*>(blocks));
    for_each_group([&](auto g) __attribute__((always_inline)) {
      int8x16x2_t codes = group<g.value>(block);
      vst1q_s8(panel.rows[r] + 32 * g.value, codes.val[0]);
      vst1q_s8(panel.rows[r] + 32 * g.value + 16, codes.val[1]);
    });
    store_scales(block.sub_scales, r, panel);
    panel.scales[0][r] = block.scale;
  }
}

}  // namespace

PanelFormat panel_format_of_codebook(TensorType type) {
  switch (type) {
    case TensorType::IQ2_XXS:
      return {PanelForm::groups_of_32, false, unpack<BlockIQ2_XXS>};
    case TensorType::IQ2_XS:
      return {PanelForm::groups_of_16, false, unpack<BlockIQ2_XS>};
    case TensorType::IQ2_S:
      return {PanelForm::groups_of_16, false, unpack<BlockIQ2_S>};
    case TensorType::IQ3_XXS:
      return {PanelForm::groups_of_32, false, unpack<BlockIQ3_XXS>};
    case TensorType::IQ3_S:
      return {PanelForm::groups_of_32, false, unpack<BlockIQ3_S>};
    case TensorType::IQ1_S:
      return {PanelForm::groups_of_32, false, unpack<BlockIQ1_S>};
    case TensorType::IQ1_M:
      return {PanelForm::groups_of_16, false, unpack<BlockIQ1_M>};
    default:
      return {PanelForm::whole, false, nullptr};
  }
}

}  // namespace edgellm::neon
