// A panel of columns of a matrix, cut into blocks whose scales are frozen: the state of a solver that rounds
// a matrix column by column (compress/quantize/gptq.h). Entry r of every array belongs to row r, so that what
// is done to a column is done to all rows by vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/blocks/block_grid.h"

namespace edgellm {

// Rows are padded to a multiple of this; what stands in the padding does not matter.
inline constexpr size_t kRowStep = 16;
inline constexpr size_t padded_rows(size_t n_rows) {
  return (n_rows + kRowStep - 1) / kRowStep * kRowStep;
}
// Columns of the widest panel.
inline constexpr size_t kMaxPanelValues = kMaxBlockValues;

class BlockPanel {
 public:
  // For grids of single values; at most kMaxPanelValues columns.
  BlockPanel(const BlockGrid& grid, size_t n_blocks, size_t n_rows);

  const BlockGrid& grid() const { return *grid_; }
  size_t n_blocks() const { return n_blocks_; }
  size_t n_rows() const { return n_rows_; }
  size_t stride() const { return stride_; }  // n_rows padded
  size_t n_values() const { return n_blocks_ * size_t(grid_->n_values); }
  size_t n_runs() const { return n_blocks_ * size_t(grid_->n_runs()); }

  // Chooses the scales of one block of rows [begin, end) for given values: [n_values of the block,
  // value_stride], those of row `begin` first, with weights [n_values] of the squared error, best around 1.
  // Levels are left as they are.
  void fit(size_t block, const float* values, size_t value_stride, const float* weights, size_t begin,
           size_t end);
  // From here on values of rows [begin, end) that are exactly zero have the level zero, which the grid must
  // have: [n_values, value_stride], row 0 first. `kept` has to be there.
  void keep_zeros(const float* values, size_t value_stride, size_t begin, size_t end);
  // Recomputes `scales` and `mins` of rows [begin, end) from what the file will hold.
  void freeze(size_t block, size_t begin, size_t end);
  // Writes the blocks of rows [begin, end): row r's at bytes + r * row_bytes.
  void pack(uint8_t* bytes, size_t row_bytes, size_t begin, size_t end) const;
  // Values of rows [begin, end), exactly as the format's decoder gives them: [n_values, value_stride].
  void decode(float* values, size_t value_stride, size_t begin, size_t end) const;

  // What the file will hold.
  std::vector<uint16_t> block_scales, block_mins;  // [n_blocks, stride], half floats
  std::vector<int16_t> run_scales, run_mins;  // [n_runs, stride], whole numbers; not where a block is a run
  std::vector<int8_t> levels;                 // [n_values, stride]
  // 0 where the level has to be zero, 1 elsewhere: [n_values, stride]. Empty: 1 everywhere.
  std::vector<int8_t> kept;
  // What levels are multiplied by and what is taken away: [n_runs, stride].
  std::vector<float> scales, mins;

 private:
  // What the file will hold of one block of a row, but for the codes.
  void gather(size_t block, size_t row, GridBlock& gathered) const;

  const BlockGrid* grid_;
  size_t n_blocks_, n_rows_, stride_;
};

}  // namespace edgellm
