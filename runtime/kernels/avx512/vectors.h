// Small pieces shared by the AVX-512 products. In an anonymous namespace: each file has its own copy,
// compiled with this folder's flags and invisible to the rest of the program.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own intrinsics give masked builtins an undefined vector on purpose and then warn of it (GCC bug
// 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace edgellm::avx512 {
namespace {

inline __m512i load(const void* p) {
  return _mm512_loadu_si512(p);
}
inline __m256i load_half(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline __m128i load_quarter(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

// 32 bytes from each of two places.
inline __m512i load_halves_of(const void* low, const void* high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(load_half(low)), load_half(high), 1);
}

inline __m512i both_halves(__m256i x) {
  return _mm512_broadcast_i64x4(x);
}

// (x & y) | z
inline __m512i and_or(__m512i x, __m512i y, __m512i z) {
  return _mm512_ternarylogic_epi64(x, y, z, 0xea);
}
inline __m128i and_or(__m128i x, __m128i y, __m128i z) {
  return _mm_ternarylogic_epi64(x, y, z, 0xea);
}

// acc + the dot products of each four bytes, unsigned times signed.
inline __m512i dot4(__m512i acc, __m512i unsigned_bytes, __m512i signed_bytes) {
  return _mm512_dpbusd_epi32(acc, unsigned_bytes, signed_bytes);
}

// Few tokens: the bytes that come this far after the ones of the current group of rows are fetched while it
// is computed, in the order in which they lie; a group's own order jumps between its rows, which hardware
// does not foresee. Into the second-level cache, for the first has too few misses in flight. Past the end of
// the weights nothing happens.
constexpr size_t kPrefetchBytes = 8192;

inline void prefetch(const void* p, size_t n_bytes) {
  auto bytes = reinterpret_cast<uintptr_t>(p);
  for (size_t line = 0; line < n_bytes; line += 64)
    _mm_prefetch(reinterpret_cast<const char*>(bytes + line), _MM_HINT_T1);
}

// Bytes `offset`.. of the first n of four blocks, one in each lane; zero in the other lanes.
template <class Block>
inline __m512i lanes_of(const Block* blocks, size_t offset, size_t n) {
  auto bytes = reinterpret_cast<const uint8_t*>(blocks) + offset;
  __m256i low = _mm256_castsi128_si256(load_quarter(bytes)), high = _mm256_setzero_si256();
  if (n > 1) low = _mm256_inserti128_si256(low, load_quarter(bytes + sizeof(Block)), 1);
  if (n > 2) high = _mm256_castsi128_si256(load_quarter(bytes + 2 * sizeof(Block)));
  if (n > 3) high = _mm256_inserti128_si256(high, load_quarter(bytes + 3 * sizeof(Block)), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// A block's first four bytes.
inline uint32_t first_four_bytes(const void* block) {
  uint32_t bytes;
  memcpy(&bytes, block, sizeof(bytes));
  return bytes;
}

// (scale, next half float) of four blocks; zero for blocks from n on. The next half is the min where the
// format has one.
template <class Block>
inline __m256 first_halves(const Block* blocks, size_t n) {
  __m128i bytes = _mm_cvtsi32_si128(int(first_four_bytes(blocks)));
  if (n > 1) bytes = _mm_insert_epi32(bytes, int(first_four_bytes(blocks + 1)), 1);
  if (n > 2) bytes = _mm_insert_epi32(bytes, int(first_four_bytes(blocks + 2)), 2);
  if (n > 3) bytes = _mm_insert_epi32(bytes, int(first_four_bytes(blocks + 3)), 3);
  return _mm256_cvtph_ps(bytes);
}

// The sums of four vectors.
inline __m128 sums_of(const __m512 (&v)[4]) {
  __m256 h[4];
  for (int i = 0; i < 4; ++i)
    h[i] = _mm256_add_ps(_mm512_castps512_ps256(v[i]), _mm512_extractf32x8_ps(v[i], 1));
  __m256 pairs = _mm256_hadd_ps(_mm256_hadd_ps(h[0], h[1]), _mm256_hadd_ps(h[2], h[3]));
  return _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1));
}

// 16 rows of 16 32-bit units each, turned: v[i] becomes unit i of every row.
inline void transpose(__m512i (&v)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // v[4 * g + c]: in lane l, unit 4 * l + c of rows 4 * g to 4 * g + 3.
  for (int c = 0; c < 4; ++c) {
    __m512i even01 = _mm512_shuffle_i32x4(v[c], v[4 + c], 0x88),
            odd01 = _mm512_shuffle_i32x4(v[c], v[4 + c], 0xdd);
    __m512i even23 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0x88);
    __m512i odd23 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0xdd);
    t[c] = _mm512_shuffle_i32x4(even01, even23, 0x88);
    t[4 + c] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
    t[8 + c] = _mm512_shuffle_i32x4(even01, even23, 0xdd);
    t[12 + c] = _mm512_shuffle_i32x4(odd01, odd23, 0xdd);
  }
  for (int i = 0; i < 16; ++i) v[i] = t[i];
}

// The eight 6-bit scales (bytes 0-7) and mins (bytes 8-15) of Q4_K and Q5_K; header: the block's first 16
// bytes.
inline __m128i scales_and_mins(__m128i header) {
  const __m128i low_places = _mm_setr_epi8(4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m128i high_places = _mm_setr_epi8(-1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1, 8, 9, 10, 11);
  const __m128i low_masks = _mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f);
  __m128i low = _mm_srlv_epi32(_mm_shuffle_epi8(header, low_places), _mm_setr_epi32(0, 0, 0, 4));
  __m128i high = _mm_srli_epi16(_mm_shuffle_epi8(header, high_places), 2);
  return and_or(high, _mm_set1_epi8(0x30), _mm_and_si128(low, low_masks));
}

// The sixteen 6-bit scales of Q3_K less 32; tail: the block's last 16 bytes, two of codes, twelve of scales,
// the scale.
inline __m128i q3_k_scales(__m128i tail) {
  const __m128i low_places = _mm_setr_epi8(2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9);
  const __m128i high_places = _mm_setr_epi8(10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13);
  __m128i low = _mm_srlv_epi64(_mm_shuffle_epi8(tail, low_places), _mm_set_epi64x(4, 0));
  __m128i high = _mm_rolv_epi32(_mm_shuffle_epi8(tail, high_places), _mm_setr_epi32(4, 2, 0, 30));
  __m128i codes = and_or(high, _mm_set1_epi8(0x30), _mm_and_si128(low, _mm_set1_epi8(15)));
  return _mm_sub_epi8(codes, _mm_set1_epi8(32));
}

// The eight scales of IQ4_XS less 32, as int32; header: the block's first eight bytes.
inline __m256i iq4_xs_scales(const void* header) {
  uint16_t high;
  uint32_t low;
  memcpy(&high, static_cast<const uint8_t*>(header) + 2, sizeof(high));
  memcpy(&low, static_cast<const uint8_t*>(header) + 4, sizeof(low));
  __m256i lows =
      _mm256_srlv_epi32(_mm256_set1_epi32(int(low)), _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
  __m256i highs = _mm256_srlv_epi32(_mm256_set1_epi32(int(uint32_t(high) << 4)),
                                    _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14));
  lows = _mm256_and_si256(lows, _mm256_set1_epi32(15));
  highs = _mm256_and_si256(highs, _mm256_set1_epi32(0x30));
  return _mm256_sub_epi32(_mm256_or_si256(lows, highs), _mm256_set1_epi32(32));
}

}  // namespace
}  // namespace edgellm::avx512
