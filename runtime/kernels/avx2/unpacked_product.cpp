// Prompts: eight rows at a time are unpacked into panels of bytes in which a vector holds four columns of
// each row, so that a lane is a row, sums need no shuffling, and unpacking is paid once for all tokens.
//
// vpmaddubsw wants unsigned codes and adds pairs in 16 bits. How many such sums of one lane fit 16 bits
// decides how often they are widened (kRun): 2 * 127 * code * kRun <= 32767, so 8 for 4-bit codes, 4 for 5
// bits, 2 for 6 bits, 1 for 7 bits. Codes of a whole byte have 128 added and become two planes of half bytes.
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/avx2/block_codes.h"
#include "runtime/kernels/avx2/codebook_codes.h"
#include "runtime/kernels/avx2/products.h"
#include "runtime/kernels/prefetcher.h"

namespace edgellm::avx2 {
namespace {

constexpr size_t kRows = 8;              // of a panel
constexpr size_t kColumnsAtOnce = 2048;  // panels of these stay in the first two caches

template <class Block>
struct Shape {
  static constexpr bool kSuper = Block::n_values == 256;
  static constexpr size_t kColumns = kSuper ? 256 : 32;  // of a panel: a block, or half of one of 64
  static constexpr size_t kPlanes = Codes<Block>::kSigned ? 2 : 1;
  static constexpr int kOffset = Codes<Block>::kSigned ? 128 : Codes<Block>::kOffset;
  static constexpr size_t kSteps = Codes<Block>::kSubBlock / 4;  // of four columns, in a sub-block
  static constexpr int kBits = Codes<Block>::kBits;
  static constexpr size_t kFitting = kBits == 7 ? 1 : kBits == 6 ? 2 : kBits == 5 ? 4 : 8;
  static constexpr size_t kRun = kFitting < kSteps ? kFitting : kSteps;
  static constexpr size_t kSubBlocks = Block::n_values / Codes<Block>::kSubBlock;
  // What fits 16 registers.
  static constexpr size_t kTokens = kPlanes == 2 ? 4 : 4, kPanels = kPlanes == 2 ? 1 : 2;
};

// kColumns of eight rows. codes: [columns / 4][row][4]; the rest a lane per row.
template <class Block>
struct alignas(64) SmallPanel {
  uint8_t codes[Shape<Block>::kPlanes][32 * kRows];
  float scales[kRows];
  float shifts[kRows];  // times the scaled sum of the activations
};

template <class Block>
struct alignas(64) SuperPanel {
  uint8_t codes[Shape<Block>::kPlanes][256 * kRows];
  int16_t sub_scales[Shape<Block>::kSubBlocks][kRows][2];  // twice the same, for vpmaddwd
  int16_t sub_mins[8][kRows][2];  // of neighbours of 16 columns; negative for an offset
  float scales[kRows];
  float mins[kRows];
};

template <class Block, bool SUPER>
struct PanelOf {
  using Type = SmallPanel<Block>;
};
template <class Block>
struct PanelOf<Block, true> {
  using Type = SuperPanel<Block>;
};
template <class Block>
using Panel = typename PanelOf<Block, Shape<Block>::kSuper>::Type;

// to[j] = element j of each of the eight rows.
inline void store_turned(const __m256i rows[8], void* to) {
  __m256i pairs[8], quads[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    quads[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
    quads[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
    quads[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
    quads[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
  }
  __m256i* out = static_cast<__m256i*>(to);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    _mm256_store_si256(out + i, _mm256_permute2x128_si256(quads[i], quads[i + 4], 0x20));
    _mm256_store_si256(out + i + 4, _mm256_permute2x128_si256(quads[i], quads[i + 4], 0x31));
  }
}

// Of the blocks the panel's columns, which begin at first.
template <class Block>
inline void unpack_codes(const Block* const blocks[kRows], size_t first, Panel<Block>& panel) {
#pragma GCC unroll 8
  for (int k = 0; k < int(Shape<Block>::kColumns / 32); ++k) {
    __m256i rows[kRows];
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) rows[r] = codes_of(*blocks[r], int(first / 32) + k);
    if constexpr (Codes<Block>::kSigned) {
      __m256i high[kRows];
#pragma GCC unroll 8
      for (size_t r = 0; r < kRows; ++r) {
        rows[r] = _mm256_xor_si256(rows[r], _mm256_set1_epi8(-128));
        high[r] = bits_of(rows[r], 4, 15);
        rows[r] = bits_of(rows[r], 0, 15);
      }
      store_turned(high, panel.codes[1] + 32 * kRows * k);
    }
    store_turned(rows, panel.codes[0] + 32 * kRows * k);
  }
}

// Row by row, for the codebook types; sub_scales: of every row.
template <class Block>
inline void unpack_entries(const Block* const blocks[kRows], Panel<Block>& panel,
                           SubScales sub_scales[kRows]) {
  alignas(32) uint8_t codes[kRows][256];
  for (size_t r = 0; r < kRows; ++r) {
    const auto parts = apart(*blocks[r]);
    sub_scales[r] = sub_scales_of(parts);
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) store(codes[r] + 32 * k, codes_of(parts, k));
  }
  for (size_t k = 0; k < 8; ++k) {
    __m256i rows[kRows];
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) rows[r] = load_32(codes[r] + 32 * k);
    store_turned(rows, panel.codes[0] + 32 * kRows * k);
  }
}

// Eight signed bytes, each twice as int16.
inline __m256i twice_in_16_bits(__m128i bytes) {
  __m256i wide = _mm256_cvtepi8_epi32(bytes);
  return _mm256_or_si256(_mm256_and_si256(wide, _mm256_set1_epi32(0xffff)), _mm256_slli_epi32(wide, 16));
}

template <class Block>
void unpack(const Block* const blocks[kRows], size_t, SuperPanel<Block>& panel) {
  SubScales sub_scales[kRows];
  if constexpr (Codes<Block>::kFromCodebook) {
    unpack_entries<Block>(blocks, panel, sub_scales);
  } else {
    unpack_codes<Block>(blocks, 0, panel);
    for (size_t r = 0; r < kRows; ++r) sub_scales[r] = sub_scales_of(*blocks[r]);
  }
  __m256i first[kRows], second[kRows], mins[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    const SubScales sub = sub_scales[r];
    panel.scales[r] = scale_of(*blocks[r]);
    panel.mins[r] = min_of(*blocks[r]);
    if constexpr (Codes<Block>::kHasMin) {
      mins[r] = _mm256_cvtepi8_epi16(sub.mins);
    } else {
      mins[r] =
          _mm256_mullo_epi16(_mm256_cvtepi8_epi16(sub.scales), _mm256_set1_epi16(-Shape<Block>::kOffset));
    }
    if constexpr (Shape<Block>::kSubBlocks == 8) {
      first[r] = _mm256_cvtepi8_epi16(sub.scales);
    } else {
      first[r] = twice_in_16_bits(sub.scales);
      second[r] = twice_in_16_bits(_mm_srli_si128(sub.scales, 8));
    }
  }
  store_turned(mins, panel.sub_mins);
  store_turned(first, panel.sub_scales);
  if constexpr (Shape<Block>::kSubBlocks == 16) store_turned(second, panel.sub_scales[8]);
}

template <class Block>
void unpack(const Block* const blocks[kRows], size_t first, SmallPanel<Block>& panel) {
  unpack_codes<Block>(blocks, first, panel);
  for (size_t r = 0; r < kRows; ++r) {
    panel.scales[r] = float_of(blocks[r]->scale);
    panel.shifts[r] =
        Codes<Block>::kHasMin ? min_of(*blocks[r]) : -panel.scales[r] * float(Shape<Block>::kOffset);
  }
}

inline __m256i broadcast_32_bits(const void* bytes) {
  int32_t word;
  memcpy(&word, bytes, sizeof(word));
  return _mm256_set1_epi32(word);
}

inline __m256i load_aligned(const void* bytes) {
  return _mm256_load_si256(static_cast<const __m256i*>(bytes));
}

// sums += codes of a run of steps * activations, [TOKENS][PANELS][planes], int16.
template <class Block, size_t TOKENS, size_t PANELS>
inline void multiply_run(const uint8_t* const (&codes)[PANELS], size_t plane_bytes,
                         const int8_t* const (&x)[TOKENS],
                         __m256i (&sums)[TOKENS][PANELS][Shape<Block>::kPlanes]) {
  constexpr size_t kPlanes = Shape<Block>::kPlanes;
#pragma GCC unroll 8
  for (size_t step = 0; step < Shape<Block>::kRun; ++step) {
    __m256i weights[PANELS][kPlanes];
#pragma GCC unroll 4
    for (size_t p = 0; p < PANELS; ++p) {
#pragma GCC unroll 2
      for (size_t plane = 0; plane < kPlanes; ++plane) {
        weights[p][plane] = load_aligned(codes[p] + plane * plane_bytes + 4 * kRows * step);
      }
    }
#pragma GCC unroll 4
    for (size_t t = 0; t < TOKENS; ++t) {
      const __m256i activations = broadcast_32_bits(x[t] + 4 * step);
#pragma GCC unroll 4
      for (size_t p = 0; p < PANELS; ++p) {
#pragma GCC unroll 2
        for (size_t plane = 0; plane < kPlanes; ++plane) {
          __m256i products = _mm256_maddubs_epi16(weights[p][plane], activations);
          sums[t][p][plane] = step ? _mm256_add_epi16(sums[t][p][plane], products) : products;
          // Hidden, or GCC turns the chain of sums into a tree that does not fit the registers.
          __asm__("" : "+x"(sums[t][p][plane]));
        }
      }
    }
  }
}

// A token's activations from the first column of the panels on.
struct Activations {
  const int8_t* codes;
  const float* scales;
  const float* scaled_sums;  // q8_32
  const int16_t* sums;       // q8_256
};

template <class Block, size_t TOKENS, size_t PANELS>
inline void multiply_panels(const SuperPanel<Block>* const (&panels)[PANELS], size_t n_blocks,
                            const Activations (&x)[TOKENS], __m256 (&totals)[TOKENS][PANELS],
                            Prefetcher& prefetcher) {
  using S = Shape<Block>;
  for (size_t b = 0; b < n_blocks; ++b) {
    prefetcher.step();
    __m256i dots[TOKENS][PANELS], mins[TOKENS][PANELS];
#pragma GCC unroll 4
    for (size_t t = 0; t < TOKENS; ++t) {
#pragma GCC unroll 4
      for (size_t p = 0; p < PANELS; ++p) {
        mins[t][p] = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (size_t k = 0; k < 8; ++k) {
          __m256i product = _mm256_madd_epi16(load_aligned(panels[p][b].sub_mins[k]),
                                              broadcast_32_bits(x[t].sums + 16 * b + 2 * k));
          mins[t][p] = _mm256_add_epi32(mins[t][p], product);
        }
        dots[t][p] = Codes<Block>::kHasMin ? _mm256_setzero_si256() : mins[t][p];
      }
    }
    for (size_t sub = 0; sub < S::kSubBlocks; ++sub) {
#pragma GCC unroll 4
      for (size_t run = 0; run < S::kSteps; run += S::kRun) {
        const size_t step = sub * S::kSteps + run;
        const uint8_t* codes[PANELS];
        const int8_t* activations[TOKENS];
#pragma GCC unroll 4
        for (size_t p = 0; p < PANELS; ++p) codes[p] = panels[p][b].codes[0] + 4 * kRows * step;
#pragma GCC unroll 4
        for (size_t t = 0; t < TOKENS; ++t) activations[t] = x[t].codes + 256 * b + 4 * step;
        __m256i sums[TOKENS][PANELS][S::kPlanes];
        multiply_run<Block, TOKENS, PANELS>(codes, 256 * kRows, activations, sums);
#pragma GCC unroll 4
        for (size_t p = 0; p < PANELS; ++p) {
          const __m256i scales = load_aligned(panels[p][b].sub_scales[sub]);
#pragma GCC unroll 4
          for (size_t t = 0; t < TOKENS; ++t) {
            dots[t][p] = _mm256_add_epi32(dots[t][p], _mm256_madd_epi16(sums[t][p][0], scales));
            if constexpr (S::kPlanes == 2) {
              __m256i high = _mm256_madd_epi16(sums[t][p][1], _mm256_slli_epi16(scales, 4));
              dots[t][p] = _mm256_add_epi32(dots[t][p], high);
            }
          }
        }
      }
    }
#pragma GCC unroll 4
    for (size_t t = 0; t < TOKENS; ++t) {
      const __m256 scale = _mm256_broadcast_ss(x[t].scales + b);
#pragma GCC unroll 4
      for (size_t p = 0; p < PANELS; ++p) {
        __m256 sum = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[t][p]), _mm256_load_ps(panels[p][b].scales));
        if constexpr (Codes<Block>::kHasMin) {
          sum = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(mins[t][p]), _mm256_load_ps(panels[p][b].mins), sum);
        }
        totals[t][p] = _mm256_fmadd_ps(sum, scale, totals[t][p]);
      }
    }
  }
}

template <class Block, size_t TOKENS, size_t PANELS>
inline void multiply_panels(const SmallPanel<Block>* const (&panels)[PANELS], size_t n_blocks,
                            const Activations (&x)[TOKENS], __m256 (&totals)[TOKENS][PANELS],
                            Prefetcher& prefetcher) {
  using S = Shape<Block>;
  const __m256i one = _mm256_set1_epi16(1), sixteen = _mm256_set1_epi16(16);
  for (size_t b = 0; b < n_blocks; ++b) {
    prefetcher.step();
    __m256i dots[TOKENS][PANELS];
#pragma GCC unroll 4
    for (size_t run = 0; run < S::kSteps; run += S::kRun) {
      const uint8_t* codes[PANELS];
      const int8_t* activations[TOKENS];
#pragma GCC unroll 4
      for (size_t p = 0; p < PANELS; ++p) codes[p] = panels[p][b].codes[0] + 4 * kRows * run;
#pragma GCC unroll 4
      for (size_t t = 0; t < TOKENS; ++t) activations[t] = x[t].codes + 32 * b + 4 * run;
      __m256i sums[TOKENS][PANELS][S::kPlanes];
      multiply_run<Block, TOKENS, PANELS>(codes, 32 * kRows, activations, sums);
#pragma GCC unroll 4
      for (size_t t = 0; t < TOKENS; ++t) {
#pragma GCC unroll 4
        for (size_t p = 0; p < PANELS; ++p) {
          __m256i dot = _mm256_madd_epi16(sums[t][p][0], one);
          if constexpr (S::kPlanes == 2)
            dot = _mm256_add_epi32(dot, _mm256_madd_epi16(sums[t][p][1], sixteen));
          dots[t][p] = run ? _mm256_add_epi32(dots[t][p], dot) : dot;
        }
      }
    }
#pragma GCC unroll 4
    for (size_t t = 0; t < TOKENS; ++t) {
      const __m256 scale = _mm256_broadcast_ss(x[t].scales + b),
                   sum = _mm256_broadcast_ss(x[t].scaled_sums + b);
#pragma GCC unroll 4
      for (size_t p = 0; p < PANELS; ++p) {
        __m256 factor = _mm256_mul_ps(scale, _mm256_load_ps(panels[p][b].scales));
        totals[t][p] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[t][p]), factor, totals[t][p]);
        totals[t][p] = _mm256_fmadd_ps(sum, _mm256_load_ps(panels[p][b].shifts), totals[t][p]);
      }
    }
  }
}

// Rows first_row .. first_row + n_rows against columns first_column .. of every token, in PANELS times
// n_panels panels.
struct Stretch {
  size_t first_row, n_rows, first_column, n_panels;
};

template <class Block, size_t TOKENS, size_t PANELS>
inline void multiply_tokens(const MatrixProduct& p, const ActivationPlanes& planes,
                            const Panel<Block>* const (&panels)[PANELS], const Stretch& s, size_t first_token,
                            Prefetcher& prefetcher) {
  Activations x[TOKENS];
  __m256 totals[TOKENS][PANELS];
#pragma GCC unroll 4
  for (size_t t = 0; t < TOKENS; ++t) {
    const uint8_t* row = static_cast<const uint8_t*>(p.activations) + (first_token + t) * planes.n_bytes;
    x[t].codes = reinterpret_cast<const int8_t*>(row) + s.first_column;
    x[t].scales =
        reinterpret_cast<const float*>(row + planes.scales) + s.first_column / Shape<Block>::kColumns;
    x[t].scaled_sums = reinterpret_cast<const float*>(row + planes.scaled_sums) + s.first_column / 32;
    x[t].sums = reinterpret_cast<const int16_t*>(row + planes.sums) + s.first_column / 16;
#pragma GCC unroll 4
    for (size_t panel = 0; panel < PANELS; ++panel) totals[t][panel] = _mm256_setzero_ps();
  }
  multiply_panels<Block, TOKENS, PANELS>(panels, s.n_panels, x, totals, prefetcher);
  for (size_t t = 0; t < TOKENS; ++t) {
    float* output = p.output + (first_token + t) * p.output_stride + s.first_row;
    alignas(32) float sums[PANELS * kRows];
    for (size_t panel = 0; panel < PANELS; ++panel) _mm256_store_ps(sums + panel * kRows, totals[t][panel]);
    if (s.first_column == 0) {
      for (size_t r = 0; r < s.n_rows; ++r) output[r] = sums[r];
    } else {
      for (size_t r = 0; r < s.n_rows; ++r) output[r] += sums[r];
    }
  }
}

// The last panel may have fewer rows; its spare lanes repeat the last one.
template <class Block, size_t PANELS>
void multiply_stretch(const MatrixProduct& p, const ActivationPlanes& planes, const Stretch& s) {
  const size_t n_blocks_of_row = p.n_columns / Block::n_values;
  Panel<Block>* scratch = static_cast<Panel<Block>*>(p.scratch);
  const Panel<Block>* panels[PANELS];
  for (size_t panel = 0; panel < PANELS; ++panel) {
    const Block* rows[kRows];
    for (size_t r = 0; r < kRows; ++r) {
      size_t row = panel * kRows + r < s.n_rows ? panel * kRows + r : s.n_rows - 1;
      rows[r] = static_cast<const Block*>(p.weights) + (s.first_row + row) * n_blocks_of_row +
                s.first_column / Block::n_values;
    }
    constexpr size_t kColumns = Shape<Block>::kColumns;
    panels[panel] = scratch + panel * s.n_panels;
    for (size_t i = 0; i < s.n_panels; ++i) {
      const size_t first = i * kColumns % Block::n_values;
      unpack<Block>(rows, first, scratch[panel * s.n_panels + i]);
      if (first + kColumns < Block::n_values) continue;
      for (size_t r = 0; r < kRows; ++r) ++rows[r];
    }
  }
  constexpr size_t kTokens = Shape<Block>::kTokens;
  // Of the rows to come as many bytes as this stretch has, in the order in which they lie.
  const size_t n_row_bytes = n_blocks_of_row * sizeof(Block),
               first_byte = s.first_column / Block::n_values * sizeof(Block),
               n_bytes = s.n_panels * Shape<Block>::kColumns / Block::n_values * sizeof(Block);
  Prefetcher prefetcher(
      static_cast<const uint8_t*>(p.weights) + (s.first_row + s.n_rows) * n_row_bytes + s.n_rows * first_byte,
      s.n_rows * n_bytes, s.n_panels * ((p.n_tokens + kTokens - 1) / kTokens));
  size_t token = 0;
  for (; token + kTokens <= p.n_tokens; token += kTokens) {
    multiply_tokens<Block, kTokens, PANELS>(p, planes, panels, s, token, prefetcher);
  }
  for (; token < p.n_tokens; ++token)
    multiply_tokens<Block, 1, PANELS>(p, planes, panels, s, token, prefetcher);
}

template <class Block>
void multiply_blocks(const MatrixProduct& p) {
  using S = Shape<Block>;
  static_assert(sizeof(Panel<Block>) * (kColumnsAtOnce / S::kColumns) * S::kPanels <= size_t(96) << 10);
  const ActivationPlanes planes =
      activation_planes(S::kSuper ? ActivationFormat::q8_256 : ActivationFormat::q8_32, p.n_columns);
  for (size_t row = p.first_row; row < p.end_row; row += S::kPanels * kRows) {
    for (size_t column = 0; column < p.n_columns; column += kColumnsAtOnce) {
      const size_t left = p.n_columns - column, n_columns = left < kColumnsAtOnce ? left : kColumnsAtOnce;
      Stretch s = {row, p.end_row - row, column, n_columns / S::kColumns};
      if (s.n_rows > S::kPanels * kRows) s.n_rows = S::kPanels * kRows;
      if (s.n_rows > (S::kPanels - 1) * kRows) {
        multiply_stretch<Block, S::kPanels>(p, planes, s);
      } else {
        multiply_stretch<Block, 1>(p, planes, s);
      }
    }
  }
}

}  // namespace

size_t unpacked_scratch_bytes() {
  return size_t(96) << 10;
}

void multiply_unpacked(const MatrixProduct& p) {
  switch (p.type) {
    case TensorType::Q4_0:
      return multiply_blocks<BlockQ4_0>(p);
    case TensorType::Q4_1:
      return multiply_blocks<BlockQ4_1>(p);
    case TensorType::Q5_0:
      return multiply_blocks<BlockQ5_0>(p);
    case TensorType::Q5_1:
      return multiply_blocks<BlockQ5_1>(p);
    case TensorType::Q8_0:
      return multiply_blocks<BlockQ8_0>(p);
    case TensorType::IQ4_NL:
      return multiply_blocks<BlockIQ4_NL>(p);
    case TensorType::Q2_0:
      return multiply_blocks<BlockQ2_0>(p);
    case TensorType::Q2_K:
      return multiply_blocks<BlockQ2_K>(p);
    case TensorType::Q3_K:
      return multiply_blocks<BlockQ3_K>(p);
    case TensorType::Q4_K:
      return multiply_blocks<BlockQ4_K>(p);
    case TensorType::Q5_K:
      return multiply_blocks<BlockQ5_K>(p);
    case TensorType::Q6_K:
      return multiply_blocks<BlockQ6_K>(p);
    case TensorType::IQ4_XS:
      return multiply_blocks<BlockIQ4_XS>(p);
    case TensorType::IQ2_XXS:
      return multiply_blocks<BlockIQ2_XXS>(p);
    case TensorType::IQ2_XS:
      return multiply_blocks<BlockIQ2_XS>(p);
    case TensorType::IQ2_S:
      return multiply_blocks<BlockIQ2_S>(p);
    case TensorType::IQ3_XXS:
      return multiply_blocks<BlockIQ3_XXS>(p);
    case TensorType::IQ3_S:
      return multiply_blocks<BlockIQ3_S>(p);
    case TensorType::IQ1_S:
      return multiply_blocks<BlockIQ1_S>(p);
    case TensorType::IQ1_M:
      return multiply_blocks<BlockIQ1_M>(p);
    default:
      return;
  }
}

}  // namespace edgellm::avx2
