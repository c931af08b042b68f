// The encoders of IQ1, IQ2 and IQ3.
#include "core/blocks/codebook_grid.h"
#include "core/blocks/iq1.h"
#include "core/blocks/iq2.h"
#include "core/blocks/iq3.h"
#include "core/blocks/scale_search.h"

namespace edgellm {
namespace {

void encode(TensorType type, const float* values, const float* importance, void* blocks, size_t n_values) {
  const CodebookGrid& grid = *find_codebook_grid(type);
  size_t n_bytes = info(type).n_bytes_per_block;
  RowWeights row_weights(importance, n_values);
  auto block = static_cast<std::byte*>(blocks);
  for (size_t begin = 0; begin < n_values; begin += 256, block += n_bytes) {
    float weights[256], group_values[128], group_weights[128], scale[16], shift[16], levels[128];
    row_weights.copy(begin, 256, weights);
    CodebookScales scales = find_codebook_scales(grid, values + begin, weights);
    GroupCode codes[32];
    for (int first = 0; first < 32; first += 16) {
      transpose(values + begin + 8 * first, 16, 8, group_values);
      transpose(weights + 8 * first, 16, 8, group_weights);
      for (int group = 0; group < 16; ++group) {
        int sub = (first + group) * grid.n_sub_blocks / 32;
        scale[group] = scales.of(grid, sub), shift[group] = scales.shift_of(sub);
      }
      round_codebook_groups(grid, group_values, group_weights, scale,
                            grid.shifts_sub_blocks ? shift : nullptr, 16, codes + first, levels);
    }
    pack_codebook_block(grid, scales, codes, block);
  }
}

}  // namespace

void encode_iq2_xxs(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode(TensorType::IQ2_XXS, values, importance, blocks, n_values);
}

void encode_iq2_xs(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode(TensorType::IQ2_XS, values, importance, blocks, n_values);
}

void encode_iq2_s(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode(TensorType::IQ2_S, values, importance, blocks, n_values);
}

void encode_iq3_xxs(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode(TensorType::IQ3_XXS, values, importance, blocks, n_values);
}

void encode_iq3_s(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode(TensorType::IQ3_S, values, importance, blocks, n_values);
}

void encode_iq1_s(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode(TensorType::IQ1_S, values, importance, blocks, n_values);
}

void encode_iq1_m(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode(TensorType::IQ1_M, values, importance, blocks, n_values);
}

}  // namespace edgellm
