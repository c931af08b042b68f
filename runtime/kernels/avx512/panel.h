// The form into which all block formats are unpacked for products with many tokens: 32 rows by 256 columns of
// unsigned bytes, four columns of a row together as a dot-product instruction wants them, with float scales a
// row and group.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/blocks/tensor_type.h"

namespace edgellm::avx512 {

constexpr size_t kPanelRows = 32;

// A group is 16, 32 or all 256 columns, as far as a format's integer sub-scales can be multiplied into its
// codes:
//   value = scales[group] * code + min                  Q2_K, Q4_K, Q5_K; Q4_1, Q5_1
//   value = scales[group] * (code - 128)                all others
// where min is -min_scales * sub_mins or, for the formats of 32, mins.
struct alignas(64) PanelBlock {
  uint8_t codes[64][kPanelRows][4];  // [column / 4, row, column % 4]
  float scales[16][kPanelRows];      // [group, row]
  union {
    int16_t sub_mins[8][kPanelRows][2];  // [sub-block / 2, row, sub-block % 2]; integers, times min_scales
    float mins[8][kPanelRows];           // [group, row]
  };
  float min_scales[kPanelRows];
};

// n_rows <= 32 rows, row_bytes apart, n_columns <= 256 from block `blocks` on. Rows that are not there are
// zero or left as they are.
void fill_panel_block(TensorType type, const uint8_t* blocks, size_t row_bytes, size_t n_rows,
                      size_t n_columns, PanelBlock& panel);
// The same for the formats of 256: K-quants and IQ4_XS, and those with a codebook.
void fill_panel_of_k_quants(TensorType type, const uint8_t* blocks, size_t row_bytes, size_t n_rows,
                            PanelBlock& panel);
void fill_panel_of_codebooks(TensorType type, const uint8_t* blocks, size_t row_bytes, size_t n_rows,
                             PanelBlock& panel);

}  // namespace edgellm::avx512
