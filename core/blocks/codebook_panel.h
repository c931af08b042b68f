// A panel of 256 columns of a matrix, one block of a codebook format wide: what a solver that rounds with
// feedback (codebook_rounding.h) leaves of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/blocks/block_panel.h"
#include "core/blocks/codebook_grid.h"

namespace edgellm {

class CodebookPanel {
 public:
  CodebookPanel(const CodebookGrid& grid, size_t n_rows);

  const CodebookGrid& grid() const { return *grid_; }
  size_t n_rows() const { return n_rows_; }
  size_t stride() const { return stride_; }  // n_rows padded

  // Chooses the scales of rows [begin, end) for given values: [256, value_stride], those of row `begin`
  // first, with weights [256] of the squared error, best around 1. Codes are left as they are.
  void fit(const float* values, size_t value_stride, const float* weights, size_t begin, size_t end);
  // Writes the blocks of rows [begin, end): row r's at bytes + r * row_bytes.
  void pack(uint8_t* bytes, size_t row_bytes, size_t begin, size_t end) const;
  // Values of rows [begin, end), exactly as the format's decoder gives them: [256, value_stride].
  void decode(float* values, size_t value_stride, size_t begin, size_t end) const;

  // What the file will hold.
  std::vector<CodebookScales> scales;  // [stride]
  std::vector<GroupCode> codes;        // [32, stride]

 private:
  void pack_row(size_t row, void* block) const;

  const CodebookGrid* grid_;
  size_t n_rows_, stride_;
};

}  // namespace edgellm
