// Unpacking of the formats of 256 into panels. 16 rows are turned while their codes are still packed: that is
// two to four times fewer bytes to turn, and the unpacked codes come out where the panel wants them.
#include "core/blocks/iq4.h"
#include "core/blocks/k_quants.h"
#include "runtime/kernels/avx512/panel.h"
#include "runtime/kernels/avx512/panel_rows.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

inline __m512i low_codes(__m512i units) {
  return _mm512_and_si512(units, bytes_of(15));
}
inline __m512i high_codes(__m512i units) {
  return low_codes(_mm512_srli_epi16(units, 4));
}

// Two bits of every byte, from bit `shift` on, to bits 4 and 5.
template <int shift>
inline __m512i pair_at_four(__m512i bits) {
  if constexpr (shift < 4)
    return _mm512_slli_epi16(bits, 4 - shift);
  else
    return _mm512_srli_epi16(bits, shift - 4);
}

// Byte i of every unit.
inline __m512i unsigned_byte(__m512i units, int i) {
  return _mm512_and_si512(_mm512_srli_epi32(units, unsigned(8 * i)), _mm512_set1_epi32(0xff));
}
inline __m512i signed_byte(__m512i units, int i) {
  return _mm512_srai_epi32(_mm512_slli_epi32(units, unsigned(24 - 8 * i)), 24);
}
// Byte i of every unit in both of its words' low bytes; other bytes are 0.
inline __m512i word_pairs(__m512i units, int i) {
  const __m512i places =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 4, 0, 4, 0, 8, 0, 8, 0, 12, 0, 12, 0));
  return _mm512_maskz_shuffle_epi8(0x5555555555555555, units, _mm512_add_epi8(places, bytes_of(i)));
}
// The same of signed bytes, as words.
inline __m512i signed_word_pairs(__m512i units, int i) {
  return _mm512_srai_epi16(_mm512_slli_epi16(word_pairs(units, i), 8), 8);
}

// Sub-scales times codes are at most 45 and stand for codes.
void fill(const BlockQ2_K*, const Rows& rows, const Half& half) {
  const __m512i three = bytes_of(3);
  const Units sub = turned(rows, offsetof(BlockQ2_K, sub_scales));
  for (int h = 0; h < 2; ++h) {
    for (int part = 0; part < 2; ++part) {
      const Units codes = turned(rows, offsetof(BlockQ2_K, codes) + size_t(32 * h) + size_t(16 * part));
      for (int k = 0; k < 4; ++k) {
        // Two products in a word: the lower one leaves no carry.
        const int sub_block = 8 * h + 2 * k + part;
        const __m512i scales = word_pairs(low_codes(sub.v[sub_block / 4]), sub_block % 4);
        for (int u = 0; u < 4; ++u) {
          const __m512i code = _mm512_and_si512(_mm512_srli_epi16(codes.v[u], unsigned(2 * k)), three);
          half.store_codes(size_t(16 * sub_block + 4 * u), _mm512_mullo_epi16(code, scales));
        }
      }
    }
  }
  for (size_t quad = 0; quad < 4; ++quad) half.store_sub_mins(quad, high_codes(sub.v[quad]));
  half.store_scales(0, half_floats(rows, offsetof(BlockQ2_K, scale)));
  half.store_min_scales(half_floats(rows, offsetof(BlockQ2_K, min)));
}

// sub-scale * (code - 4) lies in -124..128, so 128 less it is a byte; the scale changes its sign.
void fill(const BlockQ3_K*, const Rows& rows, const Half& half) {
  const __m512i three = bytes_of(3), four = bytes_of(4), low_bytes = _mm512_set1_epi16(0x00ff);
  // Two bytes of codes, twelve of sub-scales, the scale.
  const Units tail = turned(rows, offsetof(BlockQ3_K, sub_scales) - 2);
  __m512i sub_scales[4];
  {
    auto aligned = [&](int i) {
      return _mm512_or_si512(_mm512_srli_epi32(tail.v[i], 16), _mm512_slli_epi32(tail.v[i + 1], 16));
    };
    const __m512i low[2] = {aligned(0), aligned(1)}, high = aligned(2), pair = bytes_of(0x30);
    sub_scales[0] = and_or(_mm512_slli_epi16(high, 4), pair, low_codes(low[0]));
    sub_scales[1] = and_or(_mm512_slli_epi16(high, 2), pair, low_codes(low[1]));
    sub_scales[2] = and_or(high, pair, high_codes(low[0]));
    sub_scales[3] = and_or(_mm512_srli_epi16(high, 2), pair, high_codes(low[1]));
    for (__m512i& scales : sub_scales) scales = _mm512_sub_epi8(scales, bytes_of(32));
  }
  for (int part = 0; part < 2; ++part) {
    const Units high = turned(rows, offsetof(BlockQ3_K, high_bits) + size_t(16 * part));
    for (int h = 0; h < 2; ++h) {
      const Units codes = turned(rows, offsetof(BlockQ3_K, codes) + size_t(32 * h) + size_t(16 * part));
      for (int k = 0; k < 4; ++k) {
        const int sub_block = 8 * h + 2 * k + part;
        const __m512i scales = signed_word_pairs(sub_scales[sub_block / 4], sub_block % 4);
        for (int u = 0; u < 4; ++u) {
          const __m512i third = _mm512_srli_epi16(high.v[u], unsigned(4 * h + k));
          __m512i code = _mm512_and_si512(_mm512_srli_epi16(codes.v[u], unsigned(2 * k)), three);
          code = _mm512_sub_epi8(and_or(_mm512_slli_epi16(third, 2), four, code), four);
          const __m512i even = _mm512_and_si512(_mm512_mullo_epi16(code, scales), low_bytes);
          const __m512i odd = _mm512_mullo_epi16(_mm512_andnot_si512(low_bytes, code), scales);
          half.store_codes(size_t(16 * sub_block + 4 * u),
                           _mm512_sub_epi8(bytes_of(-128), _mm512_or_si512(even, odd)));
        }
      }
    }
  }
  half.store_scales(0, _mm512_sub_ps(_mm512_setzero_ps(), half_floats(_mm512_srli_epi32(tail.v[3], 16))));
}

// Scales and mins of Q4_K and Q5_K, whose blocks begin alike.
inline void fill_scales_and_mins(const Rows& rows, const Half& half) {
  const Units header = turned(rows, 0);
  const __m512i six_bits = bytes_of(0x3f), pair = bytes_of(0x30);
  const __m512i scales[2] = {_mm512_and_si512(header.v[1], six_bits),
                             and_or(_mm512_srli_epi16(header.v[1], 2), pair, low_codes(header.v[3]))};
  const __m512 scale = half_floats(header.v[0]);
  for (int group = 0; group < 8; ++group)
    half.store_scales(size_t(group),
                      _mm512_mul_ps(_mm512_cvtepi32_ps(unsigned_byte(scales[group / 4], group % 4)), scale));
  half.store_sub_mins(0, _mm512_and_si512(header.v[2], six_bits));
  half.store_sub_mins(1, and_or(_mm512_srli_epi16(header.v[2], 2), pair, high_codes(header.v[3])));
  half.store_min_scales(half_floats(_mm512_srli_epi32(header.v[0], 16)));
}

void fill(const BlockQ4_K*, const Rows& rows, const Half& half) {
  fill_scales_and_mins(rows, half);
  for (size_t part = 0; part < 8; ++part) {
    const Units codes = turned(rows, offsetof(BlockQ4_K, codes) + 16 * part);
    const size_t column = 64 * (part / 2) + 16 * (part % 2);
    for (size_t u = 0; u < 4; ++u) {
      half.store_codes(column + 4 * u, low_codes(codes.v[u]));
      half.store_codes(column + 32 + 4 * u, high_codes(codes.v[u]));
    }
  }
}

// Fifth bits 2 * pair and 2 * pair + 1 of every byte to bit 4.
template <int pair>
inline void store_five_bits(const Rows& rows, const Half& half, size_t part, const Units& high) {
  const __m512i sixteen = bytes_of(16);
  const Units codes = turned(rows, offsetof(BlockQ5_K, codes) + 32 * pair + 16 * part);
  for (size_t u = 0; u < 4; ++u) {
    const __m512i first = pair_at_four<2 * pair>(high.v[u]), second = _mm512_srli_epi16(first, 1);
    const size_t column = 64 * pair + 16 * part + 4 * u;
    half.store_codes(column, and_or(first, sixteen, low_codes(codes.v[u])));
    half.store_codes(column + 32, and_or(second, sixteen, high_codes(codes.v[u])));
  }
}

void fill(const BlockQ5_K*, const Rows& rows, const Half& half) {
  fill_scales_and_mins(rows, half);
  for (size_t part = 0; part < 2; ++part) {
    const Units high = turned(rows, offsetof(BlockQ5_K, high_bits) + 16 * part);
    store_five_bits<0>(rows, half, part, high);
    store_five_bits<1>(rows, half, part, high);
    store_five_bits<2>(rows, half, part, high);
    store_five_bits<3>(rows, half, part, high);
  }
}

void fill(const BlockQ6_K*, const Rows& rows, const Half& half) {
  const __m512i pair = bytes_of(0x30), offset = bytes_of(96);
  for (size_t part = 0; part < 4; ++part) {
    const size_t h = part / 2, first = 16 * (part % 2);
    const Units high = turned(rows, offsetof(BlockQ6_K, high_bits) + 32 * h + first);
    const Units low[2] = {turned(rows, offsetof(BlockQ6_K, low_bits) + 64 * h + first),
                          turned(rows, offsetof(BlockQ6_K, low_bits) + 64 * h + 32 + first)};
    for (size_t u = 0; u < 4; ++u) {
      const __m512i codes[4] = {and_or(pair_at_four<0>(high.v[u]), pair, low_codes(low[0].v[u])),
                                and_or(pair_at_four<2>(high.v[u]), pair, low_codes(low[1].v[u])),
                                and_or(high.v[u], pair, high_codes(low[0].v[u])),
                                and_or(pair_at_four<6>(high.v[u]), pair, high_codes(low[1].v[u]))};
      for (size_t k = 0; k < 4; ++k)
        half.store_codes(128 * h + 32 * k + first + 4 * u, _mm512_add_epi8(codes[k], offset));
    }
  }
  const Units sub = turned(rows, offsetof(BlockQ6_K, sub_scales));
  const __m512 scale = half_floats(rows, offsetof(BlockQ6_K, scale));
  for (int group = 0; group < 16; ++group)
    half.store_scales(size_t(group),
                      _mm512_mul_ps(_mm512_cvtepi32_ps(signed_byte(sub.v[group / 4], group % 4)), scale));
}

void fill(const BlockIQ4_XS*, const Rows& rows, const Half& half) {
  const __m512i levels =
      _mm512_broadcast_i32x4(_mm_xor_si128(load_quarter(kIq4Levels), _mm_set1_epi8(int8_t(-128))));
  for (size_t sub = 0; sub < 8; ++sub) {
    const Units codes = turned(rows, offsetof(BlockIQ4_XS, codes) + 16 * sub);
    for (size_t u = 0; u < 4; ++u) {
      half.store_codes(32 * sub + 4 * u, _mm512_shuffle_epi8(levels, low_codes(codes.v[u])));
      half.store_codes(32 * sub + 16 + 4 * u, _mm512_shuffle_epi8(levels, high_codes(codes.v[u])));
    }
  }
  const Units header = turned(rows, 0);
  const __m512 scale = half_floats(header.v[0]);
  for (unsigned sub = 0; sub < 8; ++sub) {
    const __m512i low = _mm512_and_si512(_mm512_srli_epi32(header.v[1], 4 * sub), _mm512_set1_epi32(15));
    // The pair of this sub-block, from bit 16 + 2 * sub, to bits 4 and 5.
    const __m512i high = _mm512_srli_epi32(header.v[0], 12 + 2 * sub);
    const __m512i scales = _mm512_ternarylogic_epi32(high, _mm512_set1_epi32(0x30), low, 0xea);
    half.store_scales(
        sub, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(scales, _mm512_set1_epi32(32))), scale));
  }
}

template <class Block>
void fill_panel(const uint8_t* blocks, size_t row_bytes, size_t n_rows, PanelBlock& panel) {
  fill_halves(blocks, row_bytes, n_rows, panel, [](const Rows& rows, const Half& half) {
    fill(static_cast<const Block*>(nullptr), rows, half);
  });
}

}  // namespace

void fill_panel_of_k_quants(TensorType type, const uint8_t* blocks, size_t row_bytes, size_t n_rows,
                            PanelBlock& panel) {
  switch (type) {
    case TensorType::Q2_K:
      return fill_panel<BlockQ2_K>(blocks, row_bytes, n_rows, panel);
    case TensorType::Q3_K:
      return fill_panel<BlockQ3_K>(blocks, row_bytes, n_rows, panel);
    case TensorType::Q4_K:
      return fill_panel<BlockQ4_K>(blocks, row_bytes, n_rows, panel);
    case TensorType::Q5_K:
      return fill_panel<BlockQ5_K>(blocks, row_bytes, n_rows, panel);
    case TensorType::Q6_K:
      return fill_panel<BlockQ6_K>(blocks, row_bytes, n_rows, panel);
    default:
      return fill_panel<BlockIQ4_XS>(blocks, row_bytes, n_rows, panel);
  }
}

}  // namespace edgellm::avx512
