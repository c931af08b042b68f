// What fills panels from 16 rows at a time: their bytes turned while still packed, so that a vector has four
// bytes of each row, and where they go.
#pragma once

#include "runtime/kernels/avx512/panel.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

// One block of each of 16 rows; rows that are not there repeat the last one.
using Rows = const uint8_t* [16];

// Four bytes of each of 16 rows.
struct Units {
  __m512i v[4];
};

// Bytes offset .. offset + 15 of every row: four units.
inline Units turned(const Rows& rows, size_t offset) {
  __m512i q[4];
  for (int j = 0; j < 4; ++j) {
    q[j] = _mm512_castsi128_si512(load_quarter(rows[j] + offset));
    q[j] = _mm512_inserti32x4(q[j], load_quarter(rows[4 + j] + offset), 1);
    q[j] = _mm512_inserti32x4(q[j], load_quarter(rows[8 + j] + offset), 2);
    q[j] = _mm512_inserti32x4(q[j], load_quarter(rows[12 + j] + offset), 3);
  }
  __m512i low01 = _mm512_unpacklo_epi32(q[0], q[1]), high01 = _mm512_unpackhi_epi32(q[0], q[1]);
  __m512i low23 = _mm512_unpacklo_epi32(q[2], q[3]), high23 = _mm512_unpackhi_epi32(q[2], q[3]);
  return {{_mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
           _mm512_unpacklo_epi64(high01, high23), _mm512_unpackhi_epi64(high01, high23)}};
}

// The half floats at one offset of every row.
inline __m512 half_floats(const Rows& rows, size_t offset) {
  alignas(32) uint16_t halves[16];
  for (int r = 0; r < 16; ++r) memcpy(&halves[r], rows[r] + offset, sizeof(halves[r]));
  return _mm512_cvtph_ps(load_half(halves));
}

// Half floats in the low halves of the units.
inline __m512 half_floats(__m512i units) {
  return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(units));
}

inline __m512i bytes_of(int value) {
  return _mm512_set1_epi8(int8_t(value));
}

// Where 16 rows stand in a panel: its upper or its lower half.
struct Half {
  PanelBlock& panel;
  size_t first_row;

  void store_codes(size_t column, __m512i units) const {
    _mm512_store_si512(panel.codes[column / 4][first_row], units);
  }
  void store_scales(size_t group, __m512 scales) const {
    _mm512_store_ps(panel.scales[group] + first_row, scales);
  }
  void store_min_scales(__m512 scales) const { _mm512_store_ps(panel.min_scales + first_row, scales); }
  // mins: unsigned bytes of four sub-blocks; quad: which four.
  void store_sub_mins(size_t quad, __m512i mins) const {
    _mm512_store_si512(panel.sub_mins[2 * quad][first_row],
                       _mm512_maskz_shuffle_epi8(0x5555555555555555, mins, words_of_pair(0)));
    _mm512_store_si512(panel.sub_mins[2 * quad + 1][first_row],
                       _mm512_maskz_shuffle_epi8(0x5555555555555555, mins, words_of_pair(1)));
  }

 private:
  // Bytes 2 * pair and 2 * pair + 1 of every unit, each where a word begins.
  static __m512i words_of_pair(int pair) {
    const __m512i places =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 1, 0, 4, 0, 5, 0, 8, 0, 9, 0, 12, 0, 13, 0));
    return _mm512_add_epi8(places, bytes_of(2 * pair));
  }
};

// Fills both halves; fill: from 16 rows the half where they stand.
template <class Fill>
inline void fill_halves(const uint8_t* blocks, size_t row_bytes, size_t n_rows, PanelBlock& panel,
                        Fill fill) {
  for (size_t first = 0; first < n_rows; first += 16) {
    Rows rows;
    for (size_t r = 0; r < 16; ++r)
      rows[r] = blocks + (first + r < n_rows ? first + r : n_rows - 1) * row_bytes;
    fill(rows, Half{panel, first});
  }
}

}  // namespace
}  // namespace edgellm::avx512
