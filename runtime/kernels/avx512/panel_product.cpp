// Prompts: 32 rows are unpacked once, up to 2048 columns at a time, and multiplied with every token. A tile
// of 32 rows and six tokens keeps its integer and its float sums in registers; activations are broadcast four
// columns at a time.
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx512/panel.h"
#include "runtime/kernels/avx512/products.h"
#include "runtime/kernels/avx512/vectors.h"
#include "runtime/kernels/prefetcher.h"

namespace edgellm::avx512 {
namespace {

constexpr size_t kTokens = 6;  // of a tile
constexpr size_t kBlocks = 8;  // of a panel: 91 KB, a part of the second-level cache
constexpr size_t kPanelColumns = 256;

enum class Mins { none, integers_of_16, integers_of_32, floats };

// How a family of formats stands in a panel: columns in a group, whether 128 was added to the codes, the
// mins.
template <size_t group_, bool offset_, Mins mins_, ActivationFormat format_>
struct Shape {
  static constexpr size_t group = group_;
  static constexpr bool offset = offset_;
  static constexpr Mins mins = mins_;
  static constexpr ActivationFormat format = format_;
};
using ShapeQ2_K = Shape<256, false, Mins::integers_of_16, ActivationFormat::q8_256>;
using ShapeQ3_K = Shape<256, true, Mins::none, ActivationFormat::q8_256>;
using ShapeQ4_K = Shape<32, false, Mins::integers_of_32, ActivationFormat::q8_256>;
using ShapeQ6_K = Shape<16, true, Mins::none, ActivationFormat::q8_256>;
using ShapeIQ4_XS = Shape<32, true, Mins::none, ActivationFormat::q8_256>;
using ShapeQ8_0 = Shape<32, true, Mins::none, ActivationFormat::q8_32>;
using ShapeQ4_1 = Shape<32, false, Mins::floats, ActivationFormat::q8_32>;

// The first of a tile's tokens, at the first column of a panel block.
struct Tokens {
  const uint8_t* codes;
  const uint8_t* scales;
  const uint8_t* sums;    // of the kind that the shape multiplies mins with
  const uint8_t* biases;  // of a group
  size_t stride;          // bytes between tokens
};

struct Output {
  float* values;
  size_t stride;
  __mmask16 low_rows, high_rows;
  bool add;  // to what is there
};

constexpr size_t kPrefetchColumns = 32;  // of a tile to a step of the prefetcher

template <class T>
inline T value_at(const uint8_t* bytes) {
  T value;
  memcpy(&value, bytes, sizeof(value));
  return value;
}

inline __m512i splat_bytes(const uint8_t* four_bytes) {
  return _mm512_set1_epi32(value_at<int32_t>(four_bytes));
}
inline __m512 splat_float(const uint8_t* bytes) {
  return _mm512_set1_ps(value_at<float>(bytes));
}

template <class S>
inline __m512i start_of_group(const uint8_t* biases, size_t group) {
  if constexpr (!S::offset) return _mm512_setzero_si512();
  if constexpr (S::group == 32 && S::format == ActivationFormat::q8_256) {
    return _mm512_set1_epi32(value_at<int32_t>(biases + 8 * group) +
                             value_at<int32_t>(biases + 8 * group + 4));
  }
  return splat_bytes(biases + 4 * group);
}

template <class S, size_t n_tokens>
void multiply_tile(const PanelBlock& panel, size_t n_columns, const Tokens& tokens, const Output& output,
                   Prefetcher& prefetcher) {
  __m512 acc[n_tokens][2];
  for (size_t t = 0; t < n_tokens; ++t) acc[t][0] = acc[t][1] = _mm512_setzero_ps();
  const size_t n_groups = S::group == 256 ? 1 : n_columns / S::group;
  const uint8_t* codes = tokens.codes;
  const uint8_t* weights = panel.codes[0][0];
  for (size_t g = 0; g < n_groups; ++g) {
    __m512i dots[n_tokens][2];
    for (size_t t = 0; t < n_tokens; ++t)
      dots[t][0] = dots[t][1] = start_of_group<S>(tokens.biases + t * tokens.stride, g);
    for (size_t k = 0; k < S::group / 4; ++k, codes += 4, weights += 4 * kPanelRows) {
      if ((g * S::group / 4 + k) % (kPrefetchColumns / 4) == 0) prefetcher.step();
      __m512i low = _mm512_load_si512(weights), high = _mm512_load_si512(weights + 64);
      for (size_t t = 0; t < n_tokens; ++t) {
        __m512i activations = splat_bytes(codes + t * tokens.stride);
        dots[t][0] = dot4(dots[t][0], low, activations);
        dots[t][1] = dot4(dots[t][1], high, activations);
      }
    }
    __m512 low_scales = _mm512_load_ps(panel.scales[g]), high_scales = _mm512_load_ps(panel.scales[g] + 16);
    for (size_t t = 0; t < n_tokens; ++t) {
      __m512 low = _mm512_cvtepi32_ps(dots[t][0]), high = _mm512_cvtepi32_ps(dots[t][1]);
      if constexpr (S::format == ActivationFormat::q8_32) {
        __m512 activation_scale = splat_float(tokens.scales + t * tokens.stride + 4 * g);
        low = _mm512_mul_ps(low, activation_scale);
        high = _mm512_mul_ps(high, activation_scale);
      }
      acc[t][0] = _mm512_fmadd_ps(low, low_scales, acc[t][0]);
      acc[t][1] = _mm512_fmadd_ps(high, high_scales, acc[t][1]);
    }
    if constexpr (S::mins == Mins::floats) {
      __m512 low_mins = _mm512_load_ps(panel.mins[g]), high_mins = _mm512_load_ps(panel.mins[g] + 16);
      for (size_t t = 0; t < n_tokens; ++t) {
        __m512 scaled_sum = splat_float(tokens.sums + t * tokens.stride + 4 * g);
        acc[t][0] = _mm512_fmadd_ps(low_mins, scaled_sum, acc[t][0]);
        acc[t][1] = _mm512_fmadd_ps(high_mins, scaled_sum, acc[t][1]);
      }
    }
  }
  if constexpr (S::mins == Mins::integers_of_16 || S::mins == Mins::integers_of_32) {
    __m512i mins[n_tokens][2];
    for (size_t t = 0; t < n_tokens; ++t) mins[t][0] = mins[t][1] = _mm512_setzero_si512();
    for (size_t pair = 0; pair < (S::mins == Mins::integers_of_16 ? 8 : 4); ++pair) {
      __m512i low = _mm512_load_si512(panel.sub_mins[pair]),
              high = _mm512_load_si512(panel.sub_mins[pair][16]);
      for (size_t t = 0; t < n_tokens; ++t) {
        __m512i sums = splat_bytes(tokens.sums + t * tokens.stride + 4 * pair);
        mins[t][0] = _mm512_dpwssd_epi32(mins[t][0], low, sums);
        mins[t][1] = _mm512_dpwssd_epi32(mins[t][1], high, sums);
      }
    }
    __m512 low_scales = _mm512_load_ps(panel.min_scales), high_scales = _mm512_load_ps(panel.min_scales + 16);
    for (size_t t = 0; t < n_tokens; ++t) {
      acc[t][0] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(mins[t][0]), low_scales, acc[t][0]);
      acc[t][1] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(mins[t][1]), high_scales, acc[t][1]);
    }
  }
  for (size_t t = 0; t < n_tokens; ++t) {
    float* values = output.values + t * output.stride;
    __m512 low = _mm512_setzero_ps(), high = _mm512_setzero_ps();
    if (output.add) {
      low = _mm512_maskz_loadu_ps(output.low_rows, values);
      high = _mm512_maskz_loadu_ps(output.high_rows, values + 16);
    }
    if constexpr (S::format == ActivationFormat::q8_256) {
      __m512 activation_scale = splat_float(tokens.scales + t * tokens.stride);
      low = _mm512_fmadd_ps(acc[t][0], activation_scale, low);
      high = _mm512_fmadd_ps(acc[t][1], activation_scale, high);
    } else {
      low = _mm512_add_ps(acc[t][0], low);
      high = _mm512_add_ps(acc[t][1], high);
    }
    _mm512_mask_storeu_ps(values, output.low_rows, low);
    _mm512_mask_storeu_ps(values + 16, output.high_rows, high);
  }
}

using Tile = void (*)(const PanelBlock&, size_t, const Tokens&, const Output&, Prefetcher&);

// The token's planes from a block of 256 columns on.
template <class S>
Tokens tokens_at(const MatrixProduct& p, const ActivationPlanes& planes, size_t token, size_t block) {
  const uint8_t* row = static_cast<const uint8_t*>(p.activations) + token * planes.n_bytes;
  Tokens tokens = {row + kPanelColumns * block, row + planes.scales, nullptr, nullptr, planes.n_bytes};
  if constexpr (S::format == ActivationFormat::q8_32) {
    tokens.scales += 4 * 8 * block;
    tokens.sums = row + planes.scaled_sums + 4 * 8 * block;
    tokens.biases = row + planes.biases + 4 * 8 * block;
  } else {
    tokens.scales += 4 * block;
    tokens.sums = S::mins == Mins::integers_of_32 ? row + planes.sums_of_32 + 2 * 8 * block
                                                  : row + planes.sums + 2 * 16 * block;
    tokens.biases =
        S::group == 256 ? row + planes.block_biases + 4 * block : row + planes.biases + 4 * 16 * block;
  }
  return tokens;
}

template <class S>
void multiply(const MatrixProduct& p) {
  static constexpr Tile tiles[kTokens + 1] = {nullptr,
                                              multiply_tile<S, 1>,
                                              multiply_tile<S, 2>,
                                              multiply_tile<S, 3>,
                                              multiply_tile<S, 4>,
                                              multiply_tile<S, 5>,
                                              multiply_tile<S, 6>};
  const TensorTypeInfo& type = info(p.type);
  const ActivationPlanes planes = activation_planes(S::format, p.n_columns);
  const size_t row_bytes = p.n_columns / type.n_values_per_block * type.n_bytes_per_block;
  const size_t block_bytes = kPanelColumns / type.n_values_per_block * type.n_bytes_per_block;
  const size_t n_blocks = (p.n_columns + kPanelColumns - 1) / kPanelColumns;
  const size_t n_tiles = (p.n_tokens + kTokens - 1) / kTokens;
  auto columns_of = [&](size_t block) {
    const size_t left = p.n_columns - block * kPanelColumns;
    return left < kPanelColumns ? left : kPanelColumns;
  };
  auto panel = static_cast<PanelBlock*>(p.scratch);
  for (size_t row = p.first_row; row < p.end_row; row += kPanelRows) {
    const size_t n_rows = p.end_row - row < kPanelRows ? p.end_row - row : kPanelRows;
    const uint32_t row_mask = n_rows < 32 ? (1u << n_rows) - 1 : ~0u;
    auto rows = static_cast<const uint8_t*>(p.weights) + row * row_bytes;
    for (size_t first = 0; first < n_blocks; first += kBlocks) {
      const size_t n = n_blocks - first < kBlocks ? n_blocks - first : kBlocks;
      for (size_t b = 0; b < n; ++b)
        fill_panel_block(p.type, rows + (first + b) * block_bytes, row_bytes, n_rows, columns_of(first + b),
                         panel[b]);
      // In the order in which they lie.
      Prefetcher prefetcher(rows + kPanelRows * (row_bytes + first * block_bytes),
                            kPanelRows * n * block_bytes, n_tiles * n * (kPanelColumns / kPrefetchColumns));
      for (size_t token = 0; token < p.n_tokens; token += kTokens) {
        const size_t n_tokens = p.n_tokens - token < kTokens ? p.n_tokens - token : kTokens;
        Output output = {p.output + token * p.output_stride + row, p.output_stride, __mmask16(row_mask),
                         __mmask16(row_mask >> 16), first > 0};
        for (size_t b = 0; b < n; ++b) {
          tiles[n_tokens](panel[b], columns_of(first + b), tokens_at<S>(p, planes, token, first + b), output,
                          prefetcher);
          output.add = true;
        }
      }
    }
  }
}

}  // namespace

size_t panel_scratch_bytes(size_t n_columns) {
  const size_t n_blocks = (n_columns + kPanelColumns - 1) / kPanelColumns;
  return (n_blocks < kBlocks ? n_blocks : kBlocks) * sizeof(PanelBlock);
}

void multiply_panels(const MatrixProduct& p) {
  switch (p.type) {
    case TensorType::Q4_0:
    case TensorType::Q5_0:
    case TensorType::Q8_0:
    case TensorType::IQ4_NL:
    case TensorType::Q2_0:
      return multiply<ShapeQ8_0>(p);
    case TensorType::Q4_1:
    case TensorType::Q5_1:
      return multiply<ShapeQ4_1>(p);
    case TensorType::Q2_K:
      return multiply<ShapeQ2_K>(p);
    case TensorType::Q3_K:
      return multiply<ShapeQ3_K>(p);
    case TensorType::Q4_K:
    case TensorType::Q5_K:
      return multiply<ShapeQ4_K>(p);
    case TensorType::Q6_K:
    case TensorType::IQ2_XS:
    case TensorType::IQ2_S:
    case TensorType::IQ1_M:
      return multiply<ShapeQ6_K>(p);
    default:
      return multiply<ShapeIQ4_XS>(p);
  }
}

}  // namespace edgellm::avx512
