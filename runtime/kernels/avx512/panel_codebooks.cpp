// Unpacking of the codebook types into panels. A vector has four entries of each of 16 rows; their values
// are spread over bytes, four of an entry to a row's unit, by shifts of 64 bits.
#include "core/blocks/iq1.h"
#include "core/blocks/iq2.h"
#include "core/blocks/iq3.h"
#include "runtime/kernels/avx512/codebook_tables.h"
#include "runtime/kernels/avx512/panel.h"
#include "runtime/kernels/avx512/panel_rows.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

constexpr int kOffset = 128;  // as the panel's shape has it
constexpr Bytes64 kIq2Values = iq2_values(kOffset), kIq1Values = iq1_values(kOffset);
constexpr Bytes64 kIq3XxsValues = iq3_values(kIq3XxsLevels, kOffset);
constexpr Bytes64 kIq3SValues = iq3_values(kIq3SLevels, kOffset);

// Eight bits from bit first + step * k on of every unit, rotated as 64 bits, to byte k of the unit.
inline __m512i spread(__m512i units, int first, int step) {
  uint64_t places = 0;
  for (int k = 0; k < 4; ++k) {
    places |= uint64_t((first + step * k) & 63) << (8 * k);
    places |= uint64_t((32 + first + step * k) & 63) << (32 + 8 * k);
  }
  return _mm512_multishift_epi64_epi8(_mm512_set1_epi64(int64_t(places)), units);
}

// scale * unit * (2 * s + 1)
inline __m512 odd_scales(__m512i s, __m512 scale, float unit) {
  return _mm512_mul_ps(_mm512_fmadd_ps(_mm512_cvtepi32_ps(s), _mm512_set1_ps(2 * unit), _mm512_set1_ps(unit)),
                       scale);
}
// Bits first to first + n - 1 of every unit.
inline __m512i bit_field(__m512i units, unsigned first, unsigned n) {
  return _mm512_and_si512(_mm512_srli_epi32(units, first), _mm512_set1_epi32((1 << n) - 1));
}

// Eight values each of four entries of IQ2, with a byte of signs each.
inline void store_signed(const Half& half, size_t column, const Entries& entries, __m512i signs) {
  const __m512i three = bytes_of(3), values = load(kIq2Values);
  for (int entry = 0; entry < 4; ++entry) {
    for (int part = 0; part < 2; ++part) {
      __m512i codes = spread(part ? entries.high : entries.low, 8 * entry, 2);
      // Signs to bit 2.
      codes = select(three, codes, spread(signs, 8 * entry + 4 * part - 2, 1));
      half.store_codes(column + size_t(8 * entry + 4 * part), _mm512_permutexvar_epi8(codes, values));
    }
  }
}

// Eight values each of four entries of IQ1. The shift of entry e is down where bit first + step * e of
// `shifts` is set.
inline void store_shifted(const Half& half, size_t column, const Entries& entries, __m512i shifts, int first,
                          int step) {
  const __m512i three = bytes_of(3), values = load(kIq1Values);
  for (int entry = 0; entry < 4; ++entry) {
    const __m512i down = spread(shifts, first + step * entry - 2, 0);
    for (int part = 0; part < 2; ++part) {
      __m512i codes = select(three, spread(part ? entries.high : entries.low, 8 * entry, 2), down);
      half.store_codes(column + size_t(8 * entry + 4 * part), _mm512_permutexvar_epi8(codes, values));
    }
  }
}

// Four values each of four entries of IQ3; their signs from bit `first` of every unit's eight times four.
inline void store_iq3(const Half& half, size_t column, const Entries& entries, __m512i signs, int first,
                      __m512i values) {
  const __m512i seven = bytes_of(7);
  for (int entry = 0; entry < 4; ++entry) {
    // Two values of half a byte from either byte.
    __m512i codes = _mm512_mask_blend_epi8(0xcccccccccccccccc, spread(entries.low, 8 * entry, 4),
                                           spread(entries.high, 8 * entry - 8, 4));
    // Signs to bit 3.
    codes = select(seven, codes, spread(signs, first + 4 * entry - 3, 1));
    half.store_codes(column + size_t(4 * entry), _mm512_permutexvar_epi8(codes, values));
  }
}

void fill(const BlockIQ2_XXS*, const Rows& rows, const Half& half) {
  const __m512 scale = half_floats(rows, offsetof(BlockIQ2_XXS, scale));
  for (size_t pair = 0; pair < 4; ++pair) {
    const Units words = turned(rows, offsetof(BlockIQ2_XXS, words) + 16 * pair);
    for (size_t i = 0; i < 2; ++i) {
      const __m512i indices = words.v[2 * i], rest = words.v[2 * i + 1];
      const __mmask64 masks[] = {eighth_bits(indices)};
      const size_t sub = 2 * pair + i;
      store_signed(half, 32 * sub, found(kIq2XxsBytes, indices, masks), signs_of_seven_bits(sevens_of(rest)));
      half.store_scales(sub, odd_scales(_mm512_srli_epi32(rest, 28), scale, 0.125f));
    }
  }
}

// Sixteen scales of half a byte each.
inline void store_scales_of_half_bytes(const Half& half, __m512i first, __m512i last, __m512 scale) {
  for (unsigned sub = 0; sub < 16; ++sub)
    half.store_scales(sub, odd_scales(bit_field(sub < 8 ? first : last, 4 * (sub % 8), 4), scale, 0.125f));
}

// Every second byte of two vectors' units, from byte `first` on: the four of a row in its unit.
inline __m512i alternate_bytes(__m512i a, __m512i b, int first) {
  alignas(64) static constexpr Bytes64 kEven = [] {
    Bytes64 places = {};
    for (int i = 0; i < 64; ++i) places.v[i] = uint8_t(i % 4 / 2 * 64 + i / 4 * 4 + i % 2 * 2);
    return places;
  }();
  return _mm512_permutex2var_epi8(a, _mm512_add_epi8(load(kEven), bytes_of(first)), b);
}

void fill(const BlockIQ2_XS*, const Rows& rows, const Half& half) {
  for (size_t part = 0; part < 4; ++part) {
    const Units codes = turned(rows, offsetof(BlockIQ2_XS, codes) + 16 * part);
    for (size_t i = 0; i < 2; ++i) {
      const __m512i low = alternate_bytes(codes.v[2 * i], codes.v[2 * i + 1], 0);
      const __m512i high = alternate_bytes(codes.v[2 * i], codes.v[2 * i + 1], 1);
      const __mmask64 masks[] = {eighth_bits(low), bits_at(high, 0)};
      store_signed(half, 64 * part + 32 * i, found(kIq2XsBytes, low, masks),
                   signs_of_seven_bits(_mm512_srli_epi16(high, 1)));
    }
  }
  // The last 16 bytes: eight of codes, eight of scales.
  const Units tail = turned(rows, sizeof(BlockIQ2_XS) - 16);
  store_scales_of_half_bytes(half, tail.v[2], tail.v[3], half_floats(rows, offsetof(BlockIQ2_XS, scale)));
}

void fill(const BlockIQ2_S*, const Rows& rows, const Half& half) {
  // High bits, then scales.
  const Units tail = turned(rows, offsetof(BlockIQ2_S, high_bits));
  for (size_t part = 0; part < 2; ++part) {
    const Units codes = turned(rows, offsetof(BlockIQ2_S, codes) + 16 * part);
    const Units signs = turned(rows, offsetof(BlockIQ2_S, signs) + 16 * part);
    for (size_t u = 0; u < 4; ++u) {
      const __m512i high = spread(tail.v[part], int(8 * u), 2);
      const __mmask64 masks[] = {eighth_bits(codes.v[u]), bits_at(high, 0), bits_at(high, 1)};
      store_signed(half, 128 * part + 32 * u, found(kIq2SBytes, codes.v[u], masks), signs.v[u]);
    }
  }
  store_scales_of_half_bytes(half, tail.v[2], tail.v[3], half_floats(rows, offsetof(BlockIQ2_S, scale)));
}

void fill(const BlockIQ3_XXS*, const Rows& rows, const Half& half) {
  const __m512 scale = half_floats(rows, offsetof(BlockIQ3_XXS, scale));
  for (size_t part = 0; part < 2; ++part) {
    const Units rest = turned(rows, offsetof(BlockIQ3_XXS, signs_and_scales) + 16 * part);
    for (size_t i = 0; i < 4; ++i) {
      const size_t sub = 4 * part + i;
      half.store_scales(sub, odd_scales(_mm512_srli_epi32(rest.v[i], 28), scale, 0.25f));
    }
    for (size_t pair = 0; pair < 2; ++pair) {
      const Units codes = turned(rows, offsetof(BlockIQ3_XXS, codes) + 32 * part + 16 * pair);
      for (size_t u = 0; u < 4; ++u) {
        const __m512i signs = signs_of_seven_bits(sevens_of(rest.v[2 * pair + u / 2]));
        const __mmask64 masks[] = {eighth_bits(codes.v[u])};
        store_iq3(half, 128 * part + 64 * pair + 16 * u, found(kIq3XxsBytes, codes.v[u], masks), signs,
                  int(16 * (u % 2)), load(kIq3XxsValues));
      }
    }
  }
}

void fill(const BlockIQ3_S*, const Rows& rows, const Half& half) {
  const Units high = turned(rows, offsetof(BlockIQ3_S, high_bits));
  for (size_t part = 0; part < 2; ++part) {
    const Units signs = turned(rows, offsetof(BlockIQ3_S, signs) + 16 * part);
    for (size_t pair = 0; pair < 2; ++pair) {
      const Units codes = turned(rows, offsetof(BlockIQ3_S, codes) + 32 * part + 16 * pair);
      for (size_t u = 0; u < 4; ++u) {
        const __m512i ninth = spread(high.v[part], int(16 * pair + 4 * u), 1);
        const __mmask64 masks[] = {eighth_bits(codes.v[u]), bits_at(ninth, 0)};
        store_iq3(half, 128 * part + 64 * pair + 16 * u, found(kIq3SBytes, codes.v[u], masks),
                  signs.v[2 * pair + u / 2], int(16 * (u % 2)), load(kIq3SValues));
      }
    }
  }
  // The last 16 bytes: twelve of signs, four of scales.
  const __m512i sub_scales = turned(rows, sizeof(BlockIQ3_S) - 16).v[3];
  const __m512 scale = half_floats(rows, offsetof(BlockIQ3_S, scale));
  for (unsigned sub = 0; sub < 8; ++sub)
    half.store_scales(sub, odd_scales(bit_field(sub_scales, 4 * sub, 4), scale, 1.0f));
}

void fill(const BlockIQ1_S*, const Rows& rows, const Half& half) {
  const Units high = turned(rows, offsetof(BlockIQ1_S, high_bits));
  const __m512 scale = half_floats(rows, offsetof(BlockIQ1_S, scale));
  for (size_t part = 0; part < 2; ++part) {
    const Units codes = turned(rows, offsetof(BlockIQ1_S, codes) + 16 * part);
    for (size_t u = 0; u < 4; ++u) {
      const size_t sub = 4 * part + u;
      const __m512i words = high.v[sub / 2];
      const int first = int(16 * (sub % 2));
      const __m512i threes = spread(words, first, 3);
      const __mmask64 masks[] = {eighth_bits(codes.v[u]), bits_at(threes, 0), bits_at(threes, 1),
                                 bits_at(threes, 2)};
      store_shifted(half, 32 * sub, found(kIq1Bytes, codes.v[u], masks), words, first + 15, 0);
      half.store_scales(sub, odd_scales(bit_field(words, unsigned(first) + 12, 3), scale, 0.125f));
    }
  }
}

void fill(const BlockIQ1_M*, const Rows& rows, const Half& half) {
  const Units high = turned(rows, offsetof(BlockIQ1_M, high_bits));
  for (size_t part = 0; part < 2; ++part) {
    const Units codes = turned(rows, offsetof(BlockIQ1_M, codes) + 16 * part);
    for (size_t u = 0; u < 4; ++u) {
      const size_t sub = 4 * part + u;
      const int first = int(16 * (sub % 2));
      const __m512i fours = spread(high.v[sub / 2], first, 4);
      const __mmask64 masks[] = {eighth_bits(codes.v[u]), bits_at(fours, 0), bits_at(fours, 1),
                                 bits_at(fours, 2)};
      store_shifted(half, 32 * sub, found(kIq1Bytes, codes.v[u], masks), high.v[sub / 2], first + 3, 4);
    }
  }
  // The last 16 bytes: eight of high bits, then four words of 16 bits.
  const Units tail = turned(rows, sizeof(BlockIQ1_M) - 16);
  const __m512i first = tail.v[2], last = tail.v[3];
  auto nibble = [](__m512i units, unsigned at, unsigned to) {
    return _mm512_slli_epi32(bit_field(units, at, 4), to);
  };
  const __m512 scale =
      half_floats(_mm512_or_si512(_mm512_or_si512(nibble(first, 12, 0), nibble(first, 28, 4)),
                                  _mm512_or_si512(nibble(last, 12, 8), nibble(last, 28, 12))));
  for (unsigned sub = 0; sub < 16; ++sub)
    half.store_scales(
        sub,
        odd_scales(bit_field(sub < 8 ? first : last, 16 * (sub / 4 % 2) + 3 * (sub % 4), 3), scale, 0.125f));
}

template <class Block>
void fill_panel(const uint8_t* blocks, size_t row_bytes, size_t n_rows, PanelBlock& panel) {
  fill_halves(blocks, row_bytes, n_rows, panel, [](const Rows& rows, const Half& half) {
    fill(static_cast<const Block*>(nullptr), rows, half);
  });
}

}  // namespace

void fill_panel_of_codebooks(TensorType type, const uint8_t* blocks, size_t row_bytes, size_t n_rows,
                             PanelBlock& panel) {
  switch (type) {
    case TensorType::IQ2_XXS:
      return fill_panel<BlockIQ2_XXS>(blocks, row_bytes, n_rows, panel);
    case TensorType::IQ2_XS:
      return fill_panel<BlockIQ2_XS>(blocks, row_bytes, n_rows, panel);
    case TensorType::IQ2_S:
      return fill_panel<BlockIQ2_S>(blocks, row_bytes, n_rows, panel);
    case TensorType::IQ3_XXS:
      return fill_panel<BlockIQ3_XXS>(blocks, row_bytes, n_rows, panel);
    case TensorType::IQ3_S:
      return fill_panel<BlockIQ3_S>(blocks, row_bytes, n_rows, panel);
    case TensorType::IQ1_S:
      return fill_panel<BlockIQ1_S>(blocks, row_bytes, n_rows, panel);
    default:
      return fill_panel<BlockIQ1_M>(blocks, row_bytes, n_rows, panel);
  }
}

}  // namespace edgellm::avx512
