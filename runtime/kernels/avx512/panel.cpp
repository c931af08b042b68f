// Unpacking of block formats into panels. A row's codes are first laid out in column order, then 16 rows are
// turned.
#include "runtime/kernels/avx512/panel.h"

#include "core/blocks/binary.h"
#include "core/blocks/iq4.h"
#include "core/blocks/k_quants.h"
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

inline __m256i low_codes(__m256i bytes) {
  return _mm256_and_si256(bytes, _mm256_set1_epi8(15));
}
inline __m256i high_codes(__m256i bytes) {
  return low_codes(_mm256_srli_epi16(bytes, 4));
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

// Formats of 256: codes, scales and mins of one row.
inline void store_scales(Row& row, __m256i integers, float scale) {
  _mm256_storeu_ps(row.scales, _mm256_mul_ps(_mm256_cvtepi32_ps(integers), _mm256_set1_ps(scale)));
}

inline void set_min_scale(Row& row, uint16_t half) {
  const float min = half_value(half);
  memcpy(row.mins + 8, &min, sizeof(min));
}

// Words i and i + 1 of 16, eight times each: the sub-scales of 32 values.
inline __m256i two_words(__m256i words, int i) {
  const __m256i places = _mm256_setr_epi16(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  return _mm256_permutexvar_epi16(_mm256_add_epi16(places, _mm256_set1_epi16(int16_t(i))), words);
}

inline __m256i two_bit_codes(const uint8_t* codes, int k) {
  return _mm256_and_si256(_mm256_srli_epi16(load_half(codes + 32 * (k / 4)), 2 * (k % 4)),
                          _mm256_set1_epi8(3));
}

// Codes times sub-scales are at most 45 and stand for codes.
inline void unpack(const BlockQ2_K& block, Row& row) {
  __m128i sub = load_quarter(block.sub_scales);
  __m256i sub_scales = _mm256_cvtepu8_epi16(low_codes(sub));
  // Two products in a word: the lower one leaves no carry.
  for (int k = 0; k < 8; ++k)
    store(row.codes + 32 * k,
          _mm256_mullo_epi16(two_bit_codes(block.codes, k), two_words(sub_scales, 2 * k)));
  store(row.mins, _mm256_cvtepu8_epi16(high_codes(sub)));
  row.scales[0] = half_value(block.scale);
  set_min_scale(row, block.min);
}

// sub-scale * (code - 4) lies in -124..128, so 128 less it is a byte; the scale changes its sign.
inline void unpack(const BlockQ3_K& block, Row& row) {
  __m128i sub = q3_k_scales(load_quarter(block.codes + 62));
  __m256i sub_scales = _mm256_cvtepi8_epi16(sub);
  __m256i high = load_half(block.high_bits);
  const __m256i low_bytes = _mm256_set1_epi16(0x00ff);
  for (int k = 0; k < 8; ++k) {
    __m256i third = _mm256_and_si256(_mm256_srli_epi16(high, k), _mm256_set1_epi8(1));
    __m256i codes = _mm256_or_si256(two_bit_codes(block.codes, k), _mm256_slli_epi16(third, 2));
    codes = _mm256_sub_epi8(codes, _mm256_set1_epi8(4));
    __m256i scales = two_words(sub_scales, 2 * k);
    __m256i even = _mm256_and_si256(_mm256_mullo_epi16(codes, scales), low_bytes);
    __m256i odd = _mm256_mullo_epi16(_mm256_andnot_si256(low_bytes, codes), scales);
    store(row.codes + 32 * k, _mm256_sub_epi8(_mm256_set1_epi8(int8_t(-128)), _mm256_or_si256(even, odd)));
  }
  row.scales[0] = -half_value(block.scale);
}

inline void unpack_sub_scales(const void* block, Row& row) {
  __m128i header = load_quarter(block), sub = scales_and_mins(header);
  store_scales(row, _mm256_cvtepu8_epi32(sub), half_value(uint16_t(_mm_extract_epi16(header, 0))));
  store(row.mins, _mm_cvtepu8_epi16(_mm_srli_si128(sub, 8)));
  set_min_scale(row, uint16_t(_mm_extract_epi16(header, 1)));
}

inline void unpack(const BlockQ4_K& block, Row& row) {
  unpack_sub_scales(&block, row);
  for (int pair = 0; pair < 4; ++pair) {
    __m256i bytes = load_half(block.codes + 32 * pair);
    store(row.codes + 64 * pair, low_codes(bytes));
    store(row.codes + 64 * pair + 32, high_codes(bytes));
  }
}

inline void unpack(const BlockQ5_K& block, Row& row) {
  unpack_sub_scales(&block, row);
  __m256i high = load_half(block.high_bits);
  const __m256i one = _mm256_set1_epi8(1);
  for (int pair = 0; pair < 4; ++pair) {
    __m256i bytes = load_half(block.codes + 32 * pair);
    __m256i first = _mm256_slli_epi16(_mm256_and_si256(_mm256_srli_epi16(high, 2 * pair), one), 4);
    __m256i second = _mm256_slli_epi16(_mm256_and_si256(_mm256_srli_epi16(high, 2 * pair + 1), one), 4);
    store(row.codes + 64 * pair, _mm256_or_si256(low_codes(bytes), first));
    store(row.codes + 64 * pair + 32, _mm256_or_si256(high_codes(bytes), second));
  }
}

inline void unpack(const BlockQ6_K& block, Row& row) {
  const __m256i three = _mm256_set1_epi8(3), offset = _mm256_set1_epi8(96);
  for (int k = 0; k < 8; ++k) {
    __m256i bytes = load_half(block.low_bits + 64 * (k / 4) + 32 * (k % 2));
    __m256i low = k % 4 < 2 ? low_codes(bytes) : high_codes(bytes);
    __m256i high =
        _mm256_and_si256(_mm256_srli_epi16(load_half(block.high_bits + 32 * (k / 4)), 2 * (k % 4)), three);
    store(row.codes + 32 * k, _mm256_add_epi8(_mm256_or_si256(low, _mm256_slli_epi16(high, 4)), offset));
  }
  __m512 scales = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_quarter(block.sub_scales)));
  _mm512_storeu_ps(row.scales, _mm512_mul_ps(scales, _mm512_set1_ps(half_value(block.scale))));
}

inline void unpack(const BlockIQ4_XS& block, Row& row) {
  const __m128i levels = iq4_levels();
  for (int sub = 0; sub < 8; ++sub) {
    __m128i bytes = load_quarter(block.codes + 16 * sub);
    store(row.codes + 32 * sub, _mm_shuffle_epi8(levels, low_codes(bytes)));
    store(row.codes + 32 * sub + 16, _mm_shuffle_epi8(levels, high_codes(bytes)));
  }
  store_scales(row, iq4_xs_scales(&block), half_value(block.scale));
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
  if constexpr (Block::n_values == 256) {
    unpack(*blocks, row);
  } else if constexpr (Block::n_values == 64) {
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
    case TensorType::Q2_K:
      return fill<BlockQ2_K>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::Q3_K:
      return fill<BlockQ3_K>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::Q4_K:
      return fill<BlockQ4_K>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::Q5_K:
      return fill<BlockQ5_K>(blocks, row_bytes, n_rows, n_columns, panel);
    case TensorType::Q6_K:
      return fill<BlockQ6_K>(blocks, row_bytes, n_rows, n_columns, panel);
    default:
      return fill<BlockIQ4_XS>(blocks, row_bytes, n_rows, n_columns, panel);
  }
}

}  // namespace edgellm::avx512
