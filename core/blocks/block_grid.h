// A block format as a grid whose scales are chosen first and whose values are rounded afterwards: what
// encoders share, and what a solver needs that rounds one column after another with the scales frozen
// (block_panel.h). For formats whose values have a code each; those that share codes have codebook_grid.h.
//
// A block of the file is cut into runs that share a scale (and a minimum). A value is scale * level - min of
// its run, computed as the format's decoder does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/float16.h"
#include "core/blocks/scale_search.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

inline constexpr int kMaxBlockValues = 256;
inline constexpr int kMaxRunValues = 64;

// What the bytes of one block hold.
struct GridBlock {
  uint16_t scale, min;                // half floats
  int16_t run_scales[kMaxSubBlocks];  // whole numbers, not used where a block is one run
  int16_t run_mins[kMaxSubBlocks];
  uint8_t codes[kMaxBlockValues];  // [n_values]
};

struct BlockGrid {
  TensorType type;
  int n_values;      // of a block
  int n_run_values;  // that share a scale and a minimum
  // What a code stands for (code 0 is the lowest).
  const Levels& (*levels)();
  // Whole numbers that a run's scale and minimum are stored as, times the block's half floats. With
  // scale_high = 0 the run is the block and the half floats are its own.
  int scale_low, scale_high;
  int min_high;
  // Block.min is added, not taken away (Q4_1, Q5_1), or there is none.
  enum class Min { kNone, kTaken, kAdded } min;

  // Scales (and minima) of least weighted squared error for each of n_blocks. values, weights: [n_blocks,
  // n_values]; weights are positive, best around 1. `thorough` also tries what only pays where weights
  // differ.
  void (*fit)(const float* values, const float* weights, int n_blocks, bool thorough, GridBlock* blocks);
  void (*pack)(const GridBlock& block, void* bytes);
  void (*unpack)(const void* bytes, GridBlock& block);

  int n_runs() const { return n_values / n_run_values; }
  float run_scale(const GridBlock& block, int run) const {
    float scale = float_from_half(block.scale);
    return scale_high ? scale * float(block.run_scales[run]) : scale;
  }
  float run_min(const GridBlock& block, int run) const {
    if (min == Min::kNone) return 0.0f;
    float stored = float_from_half(block.min);
    return min == Min::kAdded ? -stored : stored * float(block.run_mins[run]);
  }
};

// All that there are.
std::span<const BlockGrid* const> block_grids();
// Null for a type that has none.
const BlockGrid* find_block_grid(TensorType type);

// The encoder of every type with a grid: fits, rounds to the nearest levels, packs.
void encode_on_grid(const BlockGrid& grid, const float* values, const float* importance, void* blocks,
                    size_t n_values);

// Rows of the table, each beside its format's encoder.
extern const BlockGrid kQ4_0Grid, kQ4_1Grid, kQ5_0Grid, kQ5_1Grid, kQ8_0Grid, kIQ4_NLGrid, kQ2_0Grid,
    kQ2_KGrid, kQ3_KGrid, kQ4_KGrid, kQ5_KGrid, kQ6_KGrid, kIQ4_XSGrid;

}  // namespace edgellm
