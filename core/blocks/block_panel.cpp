#include "core/blocks/block_panel.h"

#include <algorithm>

#include "core/blocks/iq4.h"

namespace edgellm {
namespace {

// What is stored for each level, by level + 128.
struct CodesOfLevels {
  uint8_t codes[256] = {};
  explicit CodesOfLevels(const Levels& levels) {
    if (levels.iq4)
      for (int code = 0; code < 16; ++code) codes[kIq4Levels[code] + 128] = uint8_t(code);
    else
      for (int level = int(levels.low); level <= int(levels.high); ++level)
        codes[level + 128] = uint8_t(level - int(levels.low));
  }
};

}  // namespace

BlockPanel::BlockPanel(const BlockGrid& grid, size_t n_blocks, size_t n_rows)
    : grid_(&grid), n_blocks_(n_blocks), n_rows_(n_rows), stride_(padded_rows(n_rows)) {
  block_scales.resize(n_blocks * stride_), block_mins.resize(n_blocks * stride_);
  if (grid.scale_high) run_scales.resize(n_runs() * stride_), run_mins.resize(n_runs() * stride_);
  scales.resize(n_runs() * stride_), mins.resize(n_runs() * stride_);
  levels.resize(n_values() * stride_);
}

void BlockPanel::gather(size_t block, size_t row, GridBlock& gathered) const {
  gathered.scale = block_scales[block * stride_ + row], gathered.min = block_mins[block * stride_ + row];
  if (!grid_->scale_high) return;
  const size_t n_runs = size_t(grid_->n_runs());
  for (size_t run = 0; run < n_runs; ++run) {
    gathered.run_scales[run] = run_scales[(block * n_runs + run) * stride_ + row];
    gathered.run_mins[run] = run_mins[(block * n_runs + run) * stride_ + row];
  }
}

void BlockPanel::fit(size_t block, const float* values, size_t value_stride, const float* weights,
                     size_t begin, size_t end) {
  const size_t n_values = size_t(grid_->n_values), n_runs = size_t(grid_->n_runs());
  // As many rows at once as the search of short blocks has lanes.
  const size_t n_together = n_values < size_t(kMaxBlockValues) ? size_t(kMaxRuns) : 1;
  float gathered[kMaxRuns * kMaxRunValues], repeated[kMaxRuns * kMaxRunValues];
  for (size_t i = 0; i < n_together; ++i) std::copy_n(weights, n_values, repeated + i * n_values);
  for (size_t row = begin; row < end; row += n_together) {
    const size_t n = std::min(n_together, end - row);
    for (size_t i = 0; i < n_values; ++i)
      for (size_t r = 0; r < n; ++r)
        gathered[r * n_values + i] = values[i * value_stride + (row - begin) + r];
    GridBlock found[kMaxRuns];
    grid_->fit(gathered, repeated, int(n), true, found);
    for (size_t r = 0; r < n; ++r) {
      block_scales[block * stride_ + row + r] = found[r].scale;
      block_mins[block * stride_ + row + r] = found[r].min;
      if (!grid_->scale_high) continue;
      for (size_t run = 0; run < n_runs; ++run) {
        run_scales[(block * n_runs + run) * stride_ + row + r] = found[r].run_scales[run];
        run_mins[(block * n_runs + run) * stride_ + row + r] = found[r].run_mins[run];
      }
    }
  }
  freeze(block, begin, end);
}

void BlockPanel::keep_zeros(const float* values, size_t value_stride, size_t begin, size_t end) {
  for (size_t i = 0; i < n_values(); ++i)
    for (size_t row = begin; row < end; ++row)
      kept[i * stride_ + row] = int8_t(values[i * value_stride + row] != 0);
}

void BlockPanel::freeze(size_t block, size_t begin, size_t end) {
  const size_t n_runs = size_t(grid_->n_runs());
  for (size_t row = begin; row < end; ++row) {
    GridBlock gathered = {};  // runs the format does not have stay zero
    gather(block, row, gathered);
    for (size_t run = 0; run < n_runs; ++run) {
      scales[(block * n_runs + run) * stride_ + row] = grid_->run_scale(gathered, int(run));
      mins[(block * n_runs + run) * stride_ + row] = grid_->run_min(gathered, int(run));
    }
  }
}

void BlockPanel::pack(uint8_t* bytes, size_t row_bytes, size_t begin, size_t end) const {
  const CodesOfLevels of(grid_->levels());
  const size_t n_values = size_t(grid_->n_values), block_bytes = info(grid_->type).n_bytes_per_block;
  // Rows that share a cache line of the levels.
  constexpr size_t kTogether = 64;
  std::vector<GridBlock> rows(kTogether);
  for (size_t block = 0; block < n_blocks_; ++block)
    for (size_t first = begin; first < end; first += kTogether) {
      const size_t n = std::min(kTogether, end - first);
      for (size_t i = 0; i < n_values; ++i) {
        const int8_t* level = levels.data() + (block * n_values + i) * stride_ + first;
        for (size_t r = 0; r < n; ++r) rows[r].codes[i] = of.codes[int(level[r]) + 128];
      }
      for (size_t r = 0; r < n; ++r) {
        gather(block, first + r, rows[r]);
        grid_->pack(rows[r], bytes + (first + r) * row_bytes + block * block_bytes);
      }
    }
}

void BlockPanel::decode(float* values, size_t value_stride, size_t begin, size_t end) const {
  const size_t n_run_values = size_t(grid_->n_run_values);
  for (size_t i = 0; i < n_values(); ++i) {
    const float *run_scale = scales.data() + i / n_run_values * stride_,
                *run_min = mins.data() + i / n_run_values * stride_;
    const int8_t* level = levels.data() + i * stride_;
    float* to = values + i * value_stride;
    for (size_t row = begin; row < end; ++row) to[row] = run_scale[row] * float(level[row]) - run_min[row];
  }
}

}  // namespace edgellm
