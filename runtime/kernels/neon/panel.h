// A panel: eight rows of weights by up to 256 columns, unpacked once into signed bytes and multiplied with
// many tokens. Prompts go through it: a tile of eight rows by four tokens keeps its sums in registers, and
// the unpacking, which costs as much as multiplying with a few tokens, is shared by all of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/kernels/kernels.h"
#include "runtime/kernels/neon/row_dot.h"

namespace edgellm::neon {

inline constexpr size_t kPanelRows = 8, kPanelColumns = 256, kTileTokens = 4;
// From this many tokens on a panel is faster than a row at a time.
inline constexpr size_t kPanelTokens = 4;

// How the codes' sums become values.
enum class PanelForm {
  blocks_of_32,  // every 32 columns have a float scale (and minimum) a row
  groups_of_16,  // a float scale a row; every 16 columns an integer scale
  groups_of_32,  // the same for every 32
  whole,         // a float scale a row; the integer scales are multiplied into the codes
};

struct Panel {
  int8_t rows[kPanelRows][kPanelColumns];  // as unpacked
  int8_t
      codes[kPanelRows * kPanelColumns];  // in the multiplying instruction's order, see panel_product.inl.h
  int32_t sub_scales[16][kPanelRows];
  int16_t sub_mins[16][kPanelRows];
  float scales[8][kPanelRows];  // [block of 32 or 0]
  float mins[8][kPanelRows];
};

// Fills rows, scales and mins with n_rows (at most 8) rows by n_columns (at most 256), row_bytes apart.
using UnpackPanel = void (*)(const uint8_t* blocks, size_t row_bytes, size_t n_rows, size_t n_columns,
                             Panel& panel);

struct PanelFormat {
  PanelForm form;
  bool has_mins;
  UnpackPanel unpack;  // null: the type is not multiplied as integers
};
PanelFormat panel_format(TensorType type);
PanelFormat panel_format_of_codebook(TensorType type);  // IQ1, IQ2 and IQ3 alone

// The product of all tokens through panels in scratch. i8mm: for CPUs that have its matrix multiply.
void panel_product_dotprod(const MatrixProduct& product, const PanelFormat& format);
void panel_product_i8mm(const MatrixProduct& product, const PanelFormat& format);

// Fewer than kPanelTokens tokens with a Q2_0 matrix, straight on its blocks; with q2_0_scratch_bytes of
// scratch.
void q2_0_row_product(const MatrixProduct& product);
size_t q2_0_scratch_bytes(size_t n_columns);

// F32, F16 and BF16, and by way of decoding every other type.
void float_product(const MatrixProduct& product);
size_t float_scratch_bytes(size_t n_columns);

}  // namespace edgellm::neon
