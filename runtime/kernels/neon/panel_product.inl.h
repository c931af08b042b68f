// Products of a panel with tiles of tokens, for both multiplying instructions. The including file defines
// before, in the anonymous namespace of edgellm::neon:
//
//   interleave(rows, n_columns, codes)   the panel's codes in the instruction's order, 128 bytes for 16
//   columns accumulate<n_chunks, n_tokens>(codes, tokens, column, sums)   sums[token][half] += four rows' dot
//   products over
//                                                                 n_chunks * 16 columns
#include <arm_neon.h>
#include <cstring>

#include "runtime/kernels/neon/panel.h"

namespace edgellm::neon {
namespace {

// A tile's sums: [token][rows 0-3, rows 4-7].
template <int n_tokens>
using TileSums = int32x4_t[n_tokens][2];

// Rows that share the block of columns: their weights stay in the outer cache while every token passes.
constexpr size_t kRowsPerPass = 64;

template <int n_tokens>
inline void clear(TileSums<n_tokens>& sums) {
  for (auto& token : sums) token[0] = token[1] = vdupq_n_s32(0);
}

template <int n_tokens>
inline void multiply_blocks_of_32(const Panel& panel, bool has_mins, const Token* tokens, size_t n_columns,
                                  float32x4_t (&out)[n_tokens][2]) {
  for (size_t b = 0; b < n_columns / 32; ++b) {
    // Sums begin at the bits of 1.5 * 2^23, so that they are that number plus the sum when read as a float:
    // a subtraction, where a conversion would cost four times as much. Sums of 32 products stay below 2^20.
    const float32x4_t start = vdupq_n_f32(12582912.0f);
    TileSums<n_tokens> sums;
    for (auto& token : sums) token[0] = token[1] = vreinterpretq_s32_f32(start);
    accumulate<2, n_tokens>(panel.codes + 256 * b, tokens, 32 * b, sums);
    for (int half = 0; half < 2; ++half) {
      float32x4_t scales = vld1q_f32(panel.scales[b] + 4 * half);
      for (int t = 0; t < n_tokens; ++t) {
        float32x4_t scale = vmulq_n_f32(scales, tokens[t].scales[b]);
        out[t][half] = vfmaq_f32(out[t][half], vsubq_f32(vreinterpretq_f32_s32(sums[t][half]), start), scale);
      }
      if (!has_mins) continue;
      float32x4_t mins = vld1q_f32(panel.mins[b] + 4 * half);
      for (int t = 0; t < n_tokens; ++t)
        out[t][half] = vfmaq_n_f32(out[t][half], mins, tokens[t].scaled_sums[b]);
    }
  }
}

// sums[token][half] += mins[first..first + 7][rows] * activation_sums[token]
template <int n_tokens>
inline void add_mins(const int16_t (*mins)[kPanelRows], const int16x8_t* activation_sums,
                     TileSums<n_tokens>& sums) {
#define EDGELLM_ADD_MIN(i)                                                                \
  {                                                                                       \
    int16x8_t min = vld1q_s16(mins[i]);                                                   \
    for (int t = 0; t < n_tokens; ++t) {                                                  \
      sums[t][0] = vmlal_laneq_s16(sums[t][0], vget_low_s16(min), activation_sums[t], i); \
      sums[t][1] = vmlal_high_laneq_s16(sums[t][1], min, activation_sums[t], i);          \
    }                                                                                     \
  }
  EDGELLM_ADD_MIN(0);
  EDGELLM_ADD_MIN(1);
  EDGELLM_ADD_MIN(2);
  EDGELLM_ADD_MIN(3);
  EDGELLM_ADD_MIN(4);
  EDGELLM_ADD_MIN(5);
  EDGELLM_ADD_MIN(6);
  EDGELLM_ADD_MIN(7);
#undef EDGELLM_ADD_MIN
}

// out[token][half] += factors of the rows * scales of the tokens * sums
template <int n_tokens>
inline void scale_sums(const float* factors, const Token* tokens, const TileSums<n_tokens>& sums,
                       float32x4_t (&out)[n_tokens][2]) {
  for (int half = 0; half < 2; ++half) {
    float32x4_t factor = vld1q_f32(factors + 4 * half);
    for (int t = 0; t < n_tokens; ++t) {
      float32x4_t scale = vmulq_n_f32(factor, tokens[t].scales[0]);
      out[t][half] = vfmaq_f32(out[t][half], vcvtq_f32_s32(sums[t][half]), scale);
    }
  }
}

template <PanelForm form, int n_tokens>
inline void multiply_super_blocks(const Panel& panel, bool has_mins, const Token* tokens,
                                  float32x4_t (&out)[n_tokens][2]) {
  TileSums<n_tokens> totals;
  clear(totals);
  if constexpr (form == PanelForm::whole) {
    accumulate<16, n_tokens>(panel.codes, tokens, 0, totals);
  } else {
    constexpr int n_chunks = form == PanelForm::groups_of_16 ? 1 : 2;
    for (int group = 0; group < 16 / n_chunks; ++group) {
      TileSums<n_tokens> sums;
      clear(sums);
      accumulate<n_chunks, n_tokens>(panel.codes + 128 * n_chunks * group, tokens, 16 * n_chunks * group,
                                     sums);
      for (int half = 0; half < 2; ++half) {
        int32x4_t scales = vld1q_s32(panel.sub_scales[group] + 4 * half);
        for (int t = 0; t < n_tokens; ++t)
          totals[t][half] = vmlaq_s32(totals[t][half], sums[t][half], scales);
      }
    }
  }
  scale_sums(panel.scales[0], tokens, totals, out);
  if (!has_mins) return;
  clear(totals);
  int16x8_t activation_sums[n_tokens];
  if constexpr (form == PanelForm::whole) {
    for (int part = 0; part < 2; ++part) {
      for (int t = 0; t < n_tokens; ++t) activation_sums[t] = vld1q_s16(tokens[t].sums + 8 * part);
      add_mins<n_tokens>(panel.sub_mins + 8 * part, activation_sums, totals);
    }
  } else {
    for (int t = 0; t < n_tokens; ++t)
      activation_sums[t] = vpaddq_s16(vld1q_s16(tokens[t].sums), vld1q_s16(tokens[t].sums + 8));
    add_mins<n_tokens>(panel.sub_mins, activation_sums, totals);
  }
  for (auto& token : totals)
    for (auto& half : token) half = vnegq_s32(half);
  scale_sums(panel.mins[0], tokens, totals, out);
}

// A tile's place in the output: n_valid tokens, n_rows rows.
struct TileOutput {
  float* first;
  size_t stride;
  size_t n_valid, n_rows;
  bool is_first;  // nothing to add to yet
};

template <PanelForm form, int n_tokens>
inline void multiply_tile(const Panel& panel, bool has_mins, const Token* tokens, size_t n_columns,
                          const TileOutput& output) {
  float32x4_t out[n_tokens][2];
  for (auto& token : out) token[0] = token[1] = vdupq_n_f32(0);
  if constexpr (form == PanelForm::blocks_of_32)
    multiply_blocks_of_32<n_tokens>(panel, has_mins, tokens, n_columns, out);
  else
    multiply_super_blocks<form, n_tokens>(panel, has_mins, tokens, out);
  for (size_t t = 0; t < output.n_valid; ++t) {
    float* to = output.first + t * output.stride;
    if (output.n_rows == kPanelRows) {
      for (int half = 0; half < 2; ++half)
        vst1q_f32(to + 4 * half,
                  output.is_first ? out[t][half] : vaddq_f32(vld1q_f32(to + 4 * half), out[t][half]));
      continue;
    }
    float rows[kPanelRows];
    vst1q_f32(rows, out[t][0]);
    vst1q_f32(rows + 4, out[t][1]);
    for (size_t r = 0; r < output.n_rows; ++r) to[r] = output.is_first ? rows[r] : to[r] + rows[r];
  }
}

// The planes of one token from a column on.
inline Token token_from(const MatrixProduct& p, const ActivationPlanes& planes, size_t index, size_t column,
                        size_t n_in_block) {
  Token token = token_at(p.activations, planes, index);
  token.codes += column;
  token.scales += column / n_in_block;
  token.scaled_sums += column / 32;
  token.sums += column / 16;
  return token;
}

template <PanelForm form>
void multiply_panels(const MatrixProduct& p, const PanelFormat& format) {
  constexpr bool is_q8_32 = form == PanelForm::blocks_of_32;
  constexpr size_t n_in_block = is_q8_32 ? 32 : 256;
  const ActivationPlanes planes =
      activation_planes(is_q8_32 ? ActivationFormat::q8_32 : ActivationFormat::q8_256, p.n_columns);
  const TensorTypeInfo& type = info(p.type);
  const size_t row_bytes = p.n_columns / type.n_values_per_block * type.n_bytes_per_block;
  auto weights = static_cast<const uint8_t*>(p.weights);
  Panel& panel = *static_cast<Panel*>(p.scratch);
  memset(&panel, 0, sizeof(panel));

  for (size_t pass = p.first_row; pass < p.end_row; pass += kRowsPerPass) {
    const size_t pass_end = pass + kRowsPerPass < p.end_row ? pass + kRowsPerPass : p.end_row;
    for (size_t column = 0; column < p.n_columns; column += kPanelColumns) {
      const size_t left = p.n_columns - column, n_columns = left < kPanelColumns ? left : kPanelColumns;
      for (size_t row = pass; row < pass_end; row += kPanelRows) {
        const size_t n_rows = pass_end - row < kPanelRows ? pass_end - row : kPanelRows;
        format.unpack(weights + row * row_bytes + column / type.n_values_per_block * type.n_bytes_per_block,
                      row_bytes, n_rows, n_columns, panel);
        interleave(panel.rows, n_columns, panel.codes);
        for (size_t token = 0; token < p.n_tokens; token += kTileTokens) {
          const size_t n_left = p.n_tokens - token, n_valid = n_left < kTileTokens ? n_left : kTileTokens;
          Token tokens[kTileTokens];  // the last one repeated where there are fewer
          for (size_t t = 0; t < kTileTokens; ++t)
            tokens[t] = token_from(p, planes, token + (t < n_valid ? t : n_valid - 1), column, n_in_block);
          TileOutput output = {p.output + token * p.output_stride + row, p.output_stride, n_valid, n_rows,
                               column == 0};
          if (n_valid > 2)
            multiply_tile<form, 4>(panel, format.has_mins, tokens, n_columns, output);
          else
            multiply_tile<form, 2>(panel, format.has_mins, tokens, n_columns, output);
        }
      }
    }
  }
}

inline void multiply_by_form(const MatrixProduct& p, const PanelFormat& format) {
  switch (format.form) {
    case PanelForm::blocks_of_32:
      return multiply_panels<PanelForm::blocks_of_32>(p, format);
    case PanelForm::groups_of_16:
      return multiply_panels<PanelForm::groups_of_16>(p, format);
    case PanelForm::groups_of_32:
      return multiply_panels<PanelForm::groups_of_32>(p, format);
    case PanelForm::whole:
      return multiply_panels<PanelForm::whole>(p, format);
  }
}

}  // namespace
}  // namespace edgellm::neon
