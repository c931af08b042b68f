// The codebooks as tables of bytes for vpermi2b, which looks 64 bytes up at once among 128: an entry of IQ1
// and IQ2 is eight values of two bits, a low and a high byte; one of IQ3 is four values of half a byte each.
#pragma once

#include <bit>

#include "core/blocks/codebook_data.h"
#include "core/blocks/codebooks.h"
#include "runtime/kernels/avx512/vectors.h"

namespace edgellm::avx512 {
namespace {

template <size_t N>
struct alignas(64) CodebookBytes {
  uint8_t low[N], high[N];  // the first and the second half of an entry's values
};

template <size_t N>
constexpr CodebookBytes<N> bytes_of_two_bits(const uint16_t (&packed)[N]) {
  CodebookBytes<N> bytes = {};
  for (size_t i = 0; i < N; ++i) {
    bytes.low[i] = uint8_t(packed[i] & 255);
    bytes.high[i] = uint8_t(packed[i] >> 8);
  }
  return bytes;
}
template <size_t N>
constexpr CodebookBytes<N> bytes_of_three_bits(const uint16_t (&packed)[N]) {
  CodebookBytes<N> bytes = {};
  for (size_t i = 0; i < N; ++i) {
    bytes.low[i] = uint8_t((packed[i] & 7) | (packed[i] >> 3 & 7) << 4);
    bytes.high[i] = uint8_t((packed[i] >> 6 & 7) | (packed[i] >> 9 & 7) << 4);
  }
  return bytes;
}

constexpr CodebookBytes<2048> kIq1Bytes = bytes_of_two_bits(kIq1Packed);
constexpr CodebookBytes<256> kIq2XxsBytes = bytes_of_two_bits(kIq2XxsPacked);
constexpr CodebookBytes<512> kIq2XsBytes = bytes_of_two_bits(kIq2XsPacked);
constexpr CodebookBytes<1024> kIq2SBytes = bytes_of_two_bits(kIq2SPacked);
constexpr CodebookBytes<256> kIq3XxsBytes = bytes_of_three_bits(kIq3XxsPacked);
constexpr CodebookBytes<512> kIq3SBytes = bytes_of_three_bits(kIq3SPacked);

// What 64 indices find in a table of 128 << n_masks bytes. low: the indices' low bytes, of which vpermi2b
// takes seven bits; masks: their bits from the eighth on.
template <int n_masks>
inline __m512i found(const uint8_t* table, __m512i low, const __mmask64* masks) {
  if constexpr (n_masks == 0) {
    return _mm512_permutex2var_epi8(_mm512_load_si512(table), low, _mm512_load_si512(table + 64));
  } else {
    constexpr size_t half = size_t(64) << n_masks;
    return _mm512_mask_blend_epi8(masks[n_masks - 1], found<n_masks - 1>(table, low, masks),
                                  found<n_masks - 1>(table + half, low, masks));
  }
}

// Both halves of 64 entries.
struct Entries {
  __m512i low, high;
};
template <size_t N>
inline Entries found(const CodebookBytes<N>& codebook, __m512i low, const __mmask64* masks) {
  constexpr int n_masks = std::bit_width(N / 128) - 1;
  return {found<n_masks>(codebook.low, low, masks), found<n_masks>(codebook.high, low, masks)};
}
inline __mmask64 eighth_bits(__m512i low) {
  return _mm512_movepi8_mask(low);
}
inline __mmask64 bits_at(__m512i bytes, int bit) {
  return _mm512_test_epi8_mask(bytes, _mm512_set1_epi8(char(1 << bit)));
}

struct alignas(64) Bytes64 {
  uint8_t v[64];
};
struct alignas(64) Bytes128 {
  uint8_t v[128];
};

// Eight signs from their first seven bits.
constexpr Bytes128 kSignsOfSevenBits = [] {
  Bytes128 table = {};
  for (uint32_t i = 0; i < 128; ++i) table.v[i] = signs_from_seven_bits(i);
  return table;
}();
inline __m512i signs_of_seven_bits(__m512i bytes) {
  return found<0>(kSignsOfSevenBits.v, bytes, nullptr);
}

// Four times seven bits of every 32 bits, each in the low bits of a byte.
inline __m512i sevens_of(__m512i words) {
  return _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x352e2720150e0700), words);
}

// Tables for vpermb, which takes six bits of a place; those beyond a code and its sign may be anything. What
// is found has `offset` added, so that it is unsigned.
// IQ2: two bits of code and, above them, its sign.
constexpr Bytes64 iq2_values(int offset) {
  Bytes64 table = {};
  for (int i = 0; i < 64; ++i) {
    const int magnitude = i % 4 < 3 ? kIq2Levels[i % 4] : 0;
    table.v[i] = uint8_t(i & 4 ? offset - magnitude : offset + magnitude);
  }
  return table;
}
// IQ1: two bits of code and, above them, whether the value is shifted down; eight times the value.
constexpr Bytes64 iq1_values(int offset) {
  Bytes64 table = {};
  for (int i = 0; i < 64; ++i) table.v[i] = uint8_t(offset + 8 * (i % 4 - 1) + (i & 4 ? -1 : 1));
  return table;
}
// IQ3: three bits of code and the sign.
constexpr Bytes64 iq3_values(const uint8_t (&levels)[8], int offset) {
  Bytes64 table = {};
  for (int i = 0; i < 64; ++i) table.v[i] = uint8_t(i & 8 ? offset - levels[i % 8] : offset + levels[i % 8]);
  return table;
}
inline __m512i load(const Bytes64& table) {
  return _mm512_load_si512(table.v);
}

// Bits of x where mask has them set, else of y.
inline __m512i select(__m512i mask, __m512i x, __m512i y) {
  return _mm512_ternarylogic_epi64(mask, x, y, 0xca);
}

inline uint64_t eight_bytes_at(const void* bytes) {
  uint64_t eight;
  memcpy(&eight, bytes, sizeof(eight));
  return eight;
}

}  // namespace
}  // namespace edgellm::avx512
