// Attention of the kernel table over the vector type of float_ops.inl.h, which includes this file.
//
// Online softmax over tiles of keys (Milakov and Gimelshein, arXiv 1805.02867; tiling as in FlashAttention,
// arXiv 2205.14135): no tokens x positions array exists. All query heads of the kv head and several tokens
// form the rows of one tile, so a K or V row is decoded to float once per tile of rows.
#include "runtime/kernels/float_tiles.inl.h"
#include "runtime/kernels/kernels.h"

namespace edgellm::EDGELLM_ISA {
namespace {

// Up to this many rows the scores are plain dot products; beyond, K is transposed and multiplied in register
// tiles.
constexpr size_t kFewRows = 8;
constexpr size_t kRowsPerTile = 96;
constexpr size_t kKeysPerTile = 64, kKeysPerTileOfFewRows = 32;
constexpr float kMasked = -1e30f;  // finite: a row that has met only masked keys stays free of NaN

inline size_t padded(size_t n) {
  return (n + kWidth - 1) / kWidth * kWidth;
}

struct TileSizes {
  size_t n_tokens, n_rows, n_keys;  // of a full tile
  size_t width_k, width_v;          // padded to whole vectors with zeros
};

inline TileSizes tile_sizes(size_t n_tokens, size_t n_heads, size_t head_width_k, size_t head_width_v) {
  size_t tokens = n_heads < kRowsPerTile ? kRowsPerTile / n_heads : 1;
  if (tokens > n_tokens) tokens = n_tokens;
  size_t rows = tokens * n_heads;
  return {tokens, rows, rows <= kFewRows ? kKeysPerTileOfFewRows : kKeysPerTile, padded(head_width_k),
          padded(head_width_v)};
}

// A tile's arrays in the scratch.
struct Tile {
  float* q;       // [n_rows, width_k], scaled
  float* keys;    // [n_keys, width_k]
  float* turned;  // [width_k, n_keys]
  float* values;  // [n_keys, width_v]
  float* scores;  // [n_rows, n_keys]
  float* output;  // [n_rows, width_v], not yet divided by sums
  float* maxima;  // [n_rows]
  float* sums;    // [n_rows]
};

// Lays the arrays out from `base` (null to measure) and returns their bytes.
inline size_t place_tile(const TileSizes& s, float* base, Tile* tile) {
  size_t n = 0;
  auto take = [&](size_t count) {
    float* at = base ? base + n : nullptr;
    n += (count + 15) / 16 * 16;
    return at;
  };
  tile->q = take(s.n_rows * s.width_k);
  tile->keys = take(s.n_keys * s.width_k);
  tile->turned = take(s.n_rows > kFewRows ? s.width_k * s.n_keys : 0);
  tile->values = take(s.n_keys * s.width_v);
  tile->scores = take(s.n_rows * s.n_keys);
  tile->output = take(s.n_rows * s.width_v);
  tile->maxima = take(s.n_rows);
  tile->sums = take(s.n_rows);
  return n * sizeof(float);
}

// scores[ROWS, 4] = q[ROWS, width] . keys[4, width]
template <size_t ROWS>
inline void dot_block(const float* q, const float* keys, size_t width, float* scores, size_t score_stride) {
  Vector total[ROWS][4];
#pragma GCC unroll 8
  for (size_t r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
    for (size_t j = 0; j < 4; ++j) total[r][j] = splat(0.0f);
  }
  for (size_t d = 0; d < width; d += kWidth) {
    Vector row[ROWS];
#pragma GCC unroll 8
    for (size_t r = 0; r < ROWS; ++r) row[r] = load(q + r * width + d);
#pragma GCC unroll 8
    for (size_t j = 0; j < 4; ++j) {
      Vector key = load(keys + j * width + d);
#pragma GCC unroll 8
      for (size_t r = 0; r < ROWS; ++r) total[r][j] = multiply_add(row[r], key, total[r][j]);
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < ROWS; ++r) {
    store_sums_of_four(total[r][0], total[r][1], total[r][2], total[r][3], scores + r * score_stride);
  }
}

void score_few_rows(const TileSizes& s, const Tile& tile, size_t n_rows, size_t n_keys) {
  for (size_t j = 0; j < n_keys; j += 4) {
    const float* keys = tile.keys + j * s.width_k;
    size_t r = 0;
    for (; r + 2 <= n_rows; r += 2) {
      dot_block<2>(tile.q + r * s.width_k, keys, s.width_k, tile.scores + r * s.n_keys + j, s.n_keys);
    }
    if (r < n_rows) {
      dot_block<1>(tile.q + r * s.width_k, keys, s.width_k, tile.scores + r * s.n_keys + j, s.n_keys);
    }
  }
}

inline void decode_half_row(const uint8_t* row, size_t width, float* y) {
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(row);
  size_t d = 0;
  for (; d + kWidth <= width; d += kWidth) store(load_halves(halves + d), y + d);
  for (; d < width; ++d) y[d] = float_from_half(halves[d]);
}

inline void decode_q8_0_row(const uint8_t* row, size_t width, float* y) {
  for (size_t d = 0; d < width; d += 32, row += 34) {
    uint16_t half;
    memcpy(&half, row, sizeof(half));
    Vector scale = splat(float_from_half(half));
    for (size_t k = 0; k < 32; k += kWidth) {
      store(load_bytes(reinterpret_cast<const int8_t*>(row + 2 + k)) * scale, y + d + k);
    }
  }
}

// y[n_rows, padded_width] from n_rows of the cache; the caller keeps the padding zero.
void decode_rows(const void* cache, size_t stride, bool q8_0, size_t width, size_t n_rows, float* y,
                 size_t padded_width) {
  const uint8_t* row = static_cast<const uint8_t*>(cache);
  for (size_t j = 0; j < n_rows; ++j, row += stride, y += padded_width) {
    // The rows of the next tile: their stride is too long for the hardware to guess across pages.
    const uint8_t* ahead = row + kKeysPerTileOfFewRows * stride;
    size_t n_bytes = q8_0 ? width / 32 * 34 : width * 2;
    for (size_t k = 0; k < n_bytes; k += 64) __builtin_prefetch(ahead + k);
    if (q8_0) {
      decode_q8_0_row(row, width, y);
    } else {
      decode_half_row(row, width, y);
    }
  }
}

// Turns the scores of one row into weights e^(score - maximum) and rescales what the row has gathered so far.
// Keys before `begin` and from `end` on are masked.
inline void soften_row(const TileSizes& s, const Tile& tile, size_t r, size_t begin, size_t end,
                       float soft_cap) {
  float* scores = tile.scores + r * s.n_keys;
  if (soft_cap > 0) {
    Vector twice = splat(2.0f / soft_cap), cap = splat(soft_cap), one = splat(1.0f), two = splat(2.0f);
    for (size_t j = 0; j < s.n_keys; j += kWidth) {
      store(cap * (one - two / (exponential(load(scores + j) * twice) + one)), scores + j);
    }
  }
  for (size_t j = 0; j < begin; ++j) scores[j] = kMasked;
  for (size_t j = end; j < s.n_keys; ++j) scores[j] = kMasked;
  Vector most = load(scores);
  for (size_t j = kWidth; j < s.n_keys; j += kWidth) most = maximum(most, load(scores + j));
  float old_maximum = tile.maxima[r], new_maximum = largest(most);
  if (new_maximum < old_maximum) new_maximum = old_maximum;
  Vector subtract = splat(new_maximum), total = splat(0.0f);
  for (size_t j = 0; j < s.n_keys; j += kWidth) {
    Vector weight = exponential(load(scores + j) - subtract);
    total = total + weight;
    store(weight, scores + j);
  }
  float gathered = sum(total);
  if (new_maximum > old_maximum) {
    tile.maxima[r] = new_maximum;
    float first[kWidth];
    store(exponential(splat(old_maximum - new_maximum)), first);
    Vector factor = splat(first[0]);
    float* output = tile.output + r * s.width_v;
    for (size_t d = 0; d < s.width_v; d += kWidth) store(load(output + d) * factor, output + d);
    tile.sums[r] *= first[0];
  }
  tile.sums[r] += gathered;
}

void begin_tile(const AttentionArguments& a, const TileSizes& s, const Tile& tile, size_t first_token,
                size_t n_tokens) {
  for (size_t r = 0; r < n_tokens * a.n_heads; ++r) {
    const float* q =
        a.q + (first_token + r / a.n_heads) * a.q_stride + (a.first_head + r % a.n_heads) * a.head_width_k;
    float* to = tile.q + r * s.width_k;
    for (size_t d = 0; d < a.head_width_k; ++d) to[d] = q[d] * a.scale;
    for (size_t d = a.head_width_k; d < s.width_k; ++d) to[d] = 0;
    tile.maxima[r] = kMasked;
    tile.sums[r] = 0;
  }
  memset(tile.output, 0, s.n_rows * s.width_v * sizeof(float));
}

void end_tile(const AttentionArguments& a, const TileSizes& s, const Tile& tile, size_t first_token,
              size_t n_tokens) {
  for (size_t r = 0; r < n_tokens * a.n_heads; ++r) {
    const float* from = tile.output + r * s.width_v;
    float* to = a.output + (first_token + r / a.n_heads) * a.output_stride +
                (a.first_head + r % a.n_heads) * a.head_width_v;
    float factor = 1.0f / tile.sums[r];
    for (size_t d = 0; d < a.head_width_v; ++d) to[d] = from[d] * factor;
  }
}

// Tokens first_token .. first_token + n_tokens of the call against positions first_key .. first_key + n_keys.
void attend_keys(const AttentionArguments& a, const TileSizes& s, const Tile& tile, size_t first_token,
                 size_t n_tokens, size_t first_key, size_t n_keys) {
  size_t n_rows = n_tokens * a.n_heads;
  const uint8_t* keys = static_cast<const uint8_t*>(a.keys) + first_key * a.key_stride;
  decode_rows(keys, a.key_stride, a.cache_is_q8_0, a.head_width_k, n_keys, tile.keys, s.width_k);
  if (n_rows <= kFewRows) {
    score_few_rows(s, tile, n_rows, n_keys);
  } else {
    transpose(tile.keys, s.width_k, s.n_keys, s.width_k, tile.turned, s.n_keys);
    multiply<false>(tile.q, s.width_k, tile.turned, s.n_keys, tile.scores, s.n_keys, n_rows, s.width_k,
                    s.n_keys);
  }
  for (size_t r = 0; r < n_rows; ++r) {
    size_t position = a.first_position + first_token + r / a.n_heads;
    size_t lowest = a.window && position + 1 > a.window ? position + 1 - a.window : 0;
    size_t begin = lowest > first_key ? lowest - first_key : 0;
    size_t end = position + 1 > first_key ? position + 1 - first_key : 0;
    if (end > n_keys) end = n_keys;
    if (begin > end) begin = end;
    soften_row(s, tile, r, begin, end, a.soft_cap);
  }
  const uint8_t* values = static_cast<const uint8_t*>(a.values) + first_key * a.value_stride;
  decode_rows(values, a.value_stride, a.cache_is_q8_0, a.head_width_v, n_keys, tile.values, s.width_v);
  multiply<true>(tile.scores, s.n_keys, tile.values, s.width_v, tile.output, s.width_v, n_rows, n_keys,
                 s.width_v);
}

}  // namespace

size_t attention_scratch_bytes(size_t n_tokens, size_t n_heads, size_t head_width_k, size_t head_width_v) {
  Tile tile;
  return place_tile(tile_sizes(n_tokens, n_heads, head_width_k, head_width_v), nullptr, &tile);
}

void attention(const AttentionArguments& a) {
  if (a.n_tokens == 0 || a.n_heads == 0) return;
  TileSizes s = tile_sizes(a.n_tokens, a.n_heads, a.head_width_k, a.head_width_v);
  Tile tile;
  place_tile(s, static_cast<float*>(a.scratch), &tile);
  // Padding columns and the rows past the last key are read and must be finite, then they are masked or zero.
  memset(tile.keys, 0, s.n_keys * s.width_k * sizeof(float));
  memset(tile.values, 0, s.n_keys * s.width_v * sizeof(float));
  for (size_t token = 0; token < a.n_tokens; token += s.n_tokens) {
    size_t n_tokens = a.n_tokens - token < s.n_tokens ? a.n_tokens - token : s.n_tokens;
    size_t first = a.first_position + token;
    size_t first_key = a.window && first + 1 > a.window ? first + 1 - a.window : 0;
    size_t end_key = first + n_tokens;
    begin_tile(a, s, tile, token, n_tokens);
    for (size_t key = first_key; key < end_key; key += s.n_keys) {
      size_t n_keys = end_key - key < s.n_keys ? end_key - key : s.n_keys;
      attend_keys(a, s, tile, token, n_tokens, key, n_keys);
    }
    end_tile(a, s, tile, token, n_tokens);
  }
}

}  // namespace edgellm::EDGELLM_ISA
