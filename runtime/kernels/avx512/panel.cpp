// Unpacking of block formats into panels. A row's codes are first laid out in column order, then 16 rows are
// turned.
#include "runtime/kernels/avx512/panel.h"

#include "core/blocks/binary.h"
#include "core/blocks/iq4.h"
#include "core/blocks/legacy.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

// 16 rows before they are turned.
struct alignas(64) Rows {
  uint8_t codes[16][256];
  float scales[16][16];
  // Units 0-7: PanelBlock::sub_mins (two int16) or mins (float); unit 8: min_scales.
  uint32_t mins[16][16];
};

// What one row's block unpacks to.
struct Row {
  uint8_t* codes;  // [256]
  float* scales;   // [16]
  uint32_t* mins;  // [16]
};

inline void store(void* p, __m512i x) {
  _mm512_storeu_si512(p, x);
}
inline void store(void* p, __m256i x) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), x);
}
inline void store(void* p, __m128i x) {
  _mm_storeu_si128(static_cast<__m128i*>(p), x);
}

inline __m128i low_codes(__m128i bytes) {
  return _mm_and_si128(bytes, _mm_set1_epi8(15));
}
inline __m128i high_codes(__m128i bytes) {
  return low_codes(_mm_srli_epi16(bytes, 4));
}

inline float half_value(uint16_t half) {
  return _cvtsh_ss(half);
}

// Formats of 32: the codes of one block.
inline void unpack(const BlockQ4_0& block, uint8_t* codes) {
  __m128i bytes = load_quarter(block.codes);
  store(codes, _mm_add_epi8(low_codes(bytes), _mm_set1_epi8(120)));
  store(codes + 16, _mm_add_epi8(high_codes(bytes), _mm_set1_epi8(120)));
}

inline void unpack(const BlockQ4_1& block, uint8_t* codes) {
  __m128i bytes = load_quarter(block.codes);
  store(codes, low_codes(bytes));
  store(codes + 16, high_codes(bytes));
}

inline __m256i five_bit_codes(const uint8_t* codes, const uint8_t* high_bits) {
  uint32_t fifth;
  memcpy(&fifth, high_bits, sizeof(fifth));
  __m128i bytes = load_quarter(codes);
  __m256i low = _mm256_set_m128i(high_codes(bytes), low_codes(bytes));
  return _mm256_mask_add_epi8(low, fifth, low, _mm256_set1_epi8(16));
}

inline void unpack(const BlockQ5_0& block, uint8_t* codes) {
  store(codes, _mm256_add_epi8(five_bit_codes(block.codes, block.high_bits), _mm256_set1_epi8(112)));
}

inline void unpack(const BlockQ5_1& block, uint8_t* codes) {
  store(codes, five_bit_codes(block.codes, block.high_bits));
}

inline void unpack(const BlockQ8_0& block, uint8_t* codes) {
  store(codes, _mm256_xor_si256(load_half(block.codes), _mm256_set1_epi8(int8_t(-128))));
}

inline __m128i iq4_levels() {
  return _mm_xor_si128(load_quarter(kIq4Levels), _mm_set1_epi8(int8_t(-128)));
}

inline void unpack(const BlockIQ4_NL& block, uint8_t* codes) {
  __m128i bytes = load_quarter(block.codes);
  store(codes, _mm_shuffle_epi8(iq4_levels(), low_codes(bytes)));
  store(codes + 16, _mm_shuffle_epi8(iq4_levels(), high_codes(bytes)));
}

// 64 codes: two bytes spread over eight.
inline void unpack(const BlockQ2_0& block, uint8_t* codes) {
  const __m512i places = _mm512_set1_epi64(0x0e0c0a0806040200);
  __m512i spread = _mm512_multishift_epi64_epi8(places, _mm512_cvtepu16_epi64(load_quarter(block.codes)));
  store(codes, _mm512_add_epi8(_mm512_and_si512(spread, _mm512_set1_epi8(3)), _mm512_set1_epi8(127)));
}

// The same half float of eight blocks in a row, or of fewer, as floats.
template <class Block>
inline __m256 values_of(const Block* blocks, uint16_t Block::*half, size_t n) {
  if (n == 8) {
    return _mm256_cvtph_ps(_mm_setr_epi16(int16_t(blocks[0].*half), int16_t(blocks[1].*half),
                                          int16_t(blocks[2].*half), int16_t(blocks[3].*half),
                                          int16_t(blocks[4].*half), int16_t(blocks[5].*half),
                                          int16_t(blocks[6].*half), int16_t(blocks[7].*half)));
  }
  alignas(32) float values[8] = {};
  for (size_t b = 0; b < n; ++b) values[b] = half_value(blocks[b].*half);
  return _mm256_load_ps(values);
}

template <class Block>
constexpr bool kHasMins = requires {
  &Block::min;
};

template <class Block>
inline void unpack_row(const uint8_t* bytes, size_t n_columns, Row row) {
  auto blocks = reinterpret_cast<const Block*>(bytes);
  if constexpr (Block::n_values == 64) {
    const size_t n = n_columns / 64;
    for (size_t b = 0; b < n; ++b) {
      unpack(blocks[b], row.codes + 64 * b);
      row.scales[2 * b] = row.scales[2 * b + 1] = half_value(blocks[b].scale);
    }
  } else {
    const size_t n = n_columns / 32;
    for (size_t b = 0; b < n; ++b) unpack(blocks[b], row.codes + 32 * b);
    _mm256_storeu_ps(row.scales, values_of(blocks, &Block::scale, n));
    if constexpr (kHasMins<Block>)
      _mm256_storeu_ps(reinterpret_cast<float*>(row.mins), values_of(blocks, &Block::min, n));
  }
}

// 16 rows of 16 units, turned, to columns 32 rows apart.
inline void turn(const void* rows, size_t row_bytes, void* columns, size_t n_columns) {
  __m512i units[16];
  for (size_t r = 0; r < 16; ++r) units[r] = load(static_cast<const uint8_t*>(rows) + r * row_bytes);
  transpose(units);
  for (size_t c = 0; c < n_columns; ++c) store(static_cast<uint8_t*>(columns) + c * kPanelRows * 4, units[c]);
}

template <class Block>
void fill(const uint8_t* blocks, size_t row_bytes, size_t n_rows, size_t n_columns, PanelBlock& panel) {
  Rows rows;
  for (size_t first = 0; first < n_rows; first += 16) {
    const size_t n = n_rows - first < 16 ? n_rows - first : 16;
    for (size_t r = 0; r < n; ++r)
      unpack_row<Block>(blocks + (first + r) * row_bytes, n_columns,
                        {rows.codes[r], rows.scales[r], rows.mins[r]});
    for (size_t column = 0; column < n_columns; column += 64)
      turn(rows.codes[0] + column, sizeof(rows.codes[0]), panel.codes[column / 4][first], 16);
    turn(rows.scales, sizeof(rows.scales[0]), panel.scales[0] + first, 16);
    // Nine columns: the ninth is min_scales.
    static_assert(offsetof(PanelBlock, min_scales) == offsetof(PanelBlock, mins) + 8 * kPanelRows * 4);
    if constexpr (kHasMins<Block>) turn(rows.mins, sizeof(rows.mins[0]), panel.mins[0] + first, 9);
  }
}

}  // namespace

void fill_panel_block(TensorType type, const uint8_t* blocks, size_t row_bytes, size_t n_rows,
                      size_t n_columns, PanelBlock& panel) {
  switch (type) {
    case TensorType::Q4_0:
      return fill<BlockQ4_0>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::Q4_1:
      return fill<BlockQ4_1>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::Q5_0:
      return fill<BlockQ5_0>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::Q5_1:
      return fill<BlockQ5_1>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::Q8_0:
      return fill<BlockQ8_0>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::IQ4_NL:
      return fill<BlockIQ4_NL>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::Q2_0:
      return fill<BlockQ2_0>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::IQ2_XXS:
    case TensorType::IQ2_XS:
    case TensorType::IQ2_S:
    case TensorType::IQ3_XXS:
    case TensorType::IQ3_S:
    case TensorType::IQ1_S:
    case TensorType::IQ1_M:
      return fill_panel_of_codebooks(type, blocks, row_bytes, n_rows, panel);
    default:
      return fill_panel_of_k_quants(type, blocks, row_bytes, n_rows, panel);
  }
}

}  // namespace edgellm::avx512
