#include "core/blocks/block_grid.h"

namespace edgellm {

std::span<const BlockGrid* const> block_grids() {
  static constexpr const BlockGrid* kGrids[] = {&kQ4_0Grid,   &kQ4_1Grid, &kQ5_0Grid,  &kQ5_1Grid, &kQ8_0Grid,
                                                &kIQ4_NLGrid, &kQ2_0Grid, &kQ2_KGrid,  &kQ3_KGrid, &kQ4_KGrid,
                                                &kQ5_KGrid,   &kQ6_KGrid, &kIQ4_XSGrid};
  return kGrids;
}

const BlockGrid* find_block_grid(TensorType type) {
  for (const BlockGrid* grid : block_grids())
    if (grid->type == type) return grid;
  return nullptr;
}

void encode_on_grid(const BlockGrid& grid, const float* values, const float* importance, void* blocks,
                    size_t n_values) {
  RowWeights row_weights(importance, n_values);
  const Levels& levels = grid.levels();
  const size_t n_bytes = info(grid.type).n_bytes_per_block;
  // The search of short blocks takes several at once as the lanes of its vectors.
  const size_t n_together = grid.n_values < kMaxBlockValues ? size_t(kMaxRuns) : 1;
  auto bytes = static_cast<uint8_t*>(blocks);
  for (size_t begin = 0; begin < n_values;) {
    size_t n_left = (n_values - begin) / size_t(grid.n_values);
    int n_blocks = int(n_left < n_together ? n_left : n_together);
    float weights[kMaxRuns * kMaxRunValues];
    static_assert(kMaxRuns * kMaxRunValues >= kMaxBlockValues);
    GridBlock found[kMaxRuns];
    row_weights.copy(begin, n_blocks * grid.n_values, weights);
    grid.fit(values + begin, weights, n_blocks, !row_weights.are_even(), found);
    for (int b = 0; b < n_blocks; ++b, bytes += n_bytes, begin += size_t(grid.n_values)) {
      for (int run = 0; run < grid.n_runs(); ++run) {
        const float* x = values + begin + size_t(run * grid.n_run_values);
        uint8_t* codes = found[b].codes + run * grid.n_run_values;
        float scale = grid.run_scale(found[b], run), min = grid.run_min(found[b], run);
        if (levels.iq4)
          round_iq4_codes(x, grid.n_run_values, scale, codes);
        else
          round_codes(x, grid.n_run_values, scale, min, int(levels.low), int(levels.high), codes);
      }
      grid.pack(found[b], bytes);
    }
  }
}

}  // namespace edgellm
