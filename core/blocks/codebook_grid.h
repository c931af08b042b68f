// Writing IQ1, IQ2 and IQ3 in three steps, so that error feedback can come between them: the scales of a
// block of 256 values, then the codes of one group of eight values after another, then the block's bytes.
#pragma once

#include <cstdint>

#include "core/blocks/codebook_fit.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

inline constexpr int kCodebookBlockValues = 256, kCodebookGroupValues = 8,
                     kCodebookGroups = kCodebookBlockValues / kCodebookGroupValues;

// How a format's sub-blocks are scaled: by block scale * step * (integer + 1/2).
struct CodebookGrid {
  TensorType type;
  int n_sub_blocks;     // 8 or 16 in a block of 256
  int highest_integer;  // they begin at 0
  float step;
  bool shifts_sub_blocks;  // IQ1_S: one shift up or down a sub-block
  // The scales tried first, as multiples of the values' spread over the codebook's: n of them, each `ratio`
  // times the one before.
  int n_first;
  float first, ratio;

  int n_values_per_sub_block() const { return kCodebookBlockValues / n_sub_blocks; }
};

// Null for a type that is none of IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S.
const CodebookGrid* find_codebook_grid(TensorType type);

struct CodebookScales {
  uint16_t scale = 0;  // half float
  uint8_t integers[kMaxSubBlocks] = {};
  bool shift_is_down[kMaxSubBlocks] = {};

  // What a level of sub-block `sub` is multiplied with.
  float of(const CodebookGrid& grid, int sub) const;
  float shift_of(int sub) const { return shift_is_down[sub] ? -0.125f : 0.125f; }
};

// The scales of least weighted squared error. values, weights: [256].
CodebookScales find_codebook_scales(const CodebookGrid& grid, const float* values, const float* weights);

// Nearest codes of 8 or 16 groups at once, which may belong to different rows. values, weights: [8,
// n_groups]; scales: [n_groups]; shifts: [n_groups], of 1/8 or -1/8, for IQ1_S, null for the others. codes:
// [n_groups]; levels: [8, n_groups], the decoded value is scale * level.
void round_codebook_groups(const CodebookGrid& grid, const float* values, const float* weights,
                           const float* scales, const float* shifts, int n_groups, GroupCode* codes,
                           float* levels);

// codes: [32], the block's groups in their order.
void pack_codebook_block(const CodebookGrid& grid, const CodebookScales& scales, const GroupCode* codes,
                         void* block);

// The half float that everything in a packed block is multiplied with.
uint16_t codebook_block_scale(const CodebookGrid& grid, const void* block);
void set_codebook_block_scale(const CodebookGrid& grid, uint16_t scale, void* block);

}  // namespace edgellm
