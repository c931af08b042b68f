#include <cmath>
#include <cstring>

#include "core/base/float16.h"
#include "core/blocks/block_grid.h"
#include "core/blocks/iq4.h"
#include "core/blocks/k_quants.h"
#include "core/blocks/scale_search.h"

namespace edgellm {
namespace {

// Bits first_bit and first_bit + 1 of the codes, as Q2_K, Q3_K and Q6_K lay them.
void pack_bit_pairs(const uint8_t codes[256], int first_bit, uint8_t packed[64]) {
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < 32; ++i) {
      int byte = 0;
      for (int k = 0; k < 4; ++k) byte |= (codes[128 * half + 32 * k + i] >> first_bit & 3) << (2 * k);
      packed[32 * half + i] = uint8_t(byte);
    }
}

// One bit of every code: bit k of byte i is value 32 * k + i.
void pack_high_bits(const uint8_t codes[256], int bit, uint8_t packed[32]) {
  for (int i = 0; i < 32; ++i) {
    int byte = 0;
    for (int k = 0; k < 8; ++k) byte |= (codes[32 * k + i] >> bit & 1) << k;
    packed[i] = uint8_t(byte);
  }
}

// Low four bits of values that lie `distance` apart in one byte.
void pack_halves(const uint8_t codes[256], int distance, uint8_t packed[128]) {
  for (int begin = 0; begin < 256; begin += 2 * distance)
    for (int i = 0; i < distance; ++i)
      packed[begin / 2 + i] = uint8_t((codes[begin + i] & 15) | (codes[begin + distance + i] & 15) << 4);
}

void unpack_bit_pairs(const uint8_t packed[64], int first_bit, uint8_t codes[256]) {
  for (int i = 0; i < 256; ++i) {
    int bits = packed[32 * (i / 128) + i % 32] >> (2 * (i / 32 % 4)) & 3;
    codes[i] = uint8_t(codes[i] | bits << first_bit);
  }
}

void unpack_high_bits(const uint8_t packed[32], int bit, uint8_t codes[256]) {
  for (int i = 0; i < 256; ++i) codes[i] = uint8_t(codes[i] | (packed[i % 32] >> (i / 32) & 1) << bit);
}

void unpack_halves(const uint8_t packed[128], int distance, uint8_t codes[256]) {
  for (int begin = 0; begin < 256; begin += 2 * distance)
    for (int i = 0; i < distance; ++i) {
      codes[begin + i] = packed[begin / 2 + i] & 15;
      codes[begin + distance + i] = packed[begin / 2 + i] >> 4;
    }
}

void take(const SubScalesAndMins& found, int n_runs, GridBlock& block) {
  block.scale = found.scale, block.min = found.min;
  for (int run = 0; run < n_runs; ++run) {
    block.run_scales[run] = int16_t(found.scales[run]);
    block.run_mins[run] = int16_t(found.mins[run]);
  }
}

template <int code_high>
void fit_q4_q5(const float* values, const float* weights, int n_blocks, bool, GridBlock* blocks) {
  for (int b = 0; b < n_blocks; ++b, values += 256, weights += 256, ++blocks)
    take(find_sub_scales_and_mins(code_high, values, weights, 8, 32, 63), 8, *blocks);
}

void fit_q2_k(const float* values, const float* weights, int n_blocks, bool thorough, GridBlock* blocks) {
  for (int b = 0; b < n_blocks; ++b, values += 256, weights += 256, ++blocks) {
    // Scale and minimum may both be negative, which turns the grid around; at 4 bits for the sub-minima
    // that is another set of grids, and the better of the two is one or two percent nearer.
    SubScalesAndMins found = find_sub_scales_and_mins(3, values, weights, 16, 16, 15, thorough);
    take(found, 16, *blocks);
    if (found.is_turned) blocks->scale ^= 0x8000, blocks->min ^= 0x8000;
  }
}

template <const Levels& (*levels)(), int n_runs, int low, int high>
void fit_scales(const float* values, const float* weights, int n_blocks, bool, GridBlock* blocks) {
  for (int b = 0; b < n_blocks; ++b, values += 256, weights += 256, ++blocks) {
    SubScales found = find_sub_scales(levels(), values, weights, n_runs, 256 / n_runs, low, high);
    blocks->scale = found.scale, blocks->min = 0;
    for (int run = 0; run < n_runs; ++run) {
      blocks->run_scales[run] = int16_t(found.scales[run]);
      blocks->run_mins[run] = 0;
    }
  }
}

void pack_q2_k(const GridBlock& from, void* bytes) {
  BlockQ2_K block = {};
  for (int run = 0; run < 16; ++run)
    block.sub_scales[run] = uint8_t(from.run_scales[run] | from.run_mins[run] << 4);
  block.scale = from.scale, block.min = from.min;
  pack_bit_pairs(from.codes, 0, block.codes);
  std::memcpy(bytes, &block, sizeof(block));
}

void unpack_q2_k(const void* bytes, GridBlock& to) {
  BlockQ2_K block;
  std::memcpy(&block, bytes, sizeof(block));
  to = {.scale = block.scale, .min = block.min, .run_scales = {}, .run_mins = {}, .codes = {}};
  for (int run = 0; run < 16; ++run)
    to.run_scales[run] = block.sub_scales[run] & 15, to.run_mins[run] = block.sub_scales[run] >> 4;
  unpack_bit_pairs(block.codes, 0, to.codes);
}

void pack_q3_k(const GridBlock& from, void* bytes) {
  BlockQ3_K block = {};
  uint8_t scales[16];
  for (int run = 0; run < 16; ++run) scales[run] = uint8_t(from.run_scales[run] + 32);
  block.scale = from.scale;
  pack_q3_k_scales(scales, block.sub_scales);
  pack_bit_pairs(from.codes, 0, block.codes);
  pack_high_bits(from.codes, 2, block.high_bits);
  std::memcpy(bytes, &block, sizeof(block));
}

void unpack_q3_k(const void* bytes, GridBlock& to) {
  BlockQ3_K block;
  std::memcpy(&block, bytes, sizeof(block));
  to = {.scale = block.scale, .min = 0, .run_scales = {}, .run_mins = {}, .codes = {}};
  uint8_t scales[16];
  unpack_q3_k_scales(block.sub_scales, scales);
  for (int run = 0; run < 16; ++run) to.run_scales[run] = int16_t(scales[run] - 32);
  unpack_bit_pairs(block.codes, 0, to.codes);
  unpack_high_bits(block.high_bits, 2, to.codes);
}

// What Q4_K and Q5_K have in common.
template <class Block>
Block packed_q4_q5(const GridBlock& from) {
  Block block = {};
  uint8_t scales[8], mins[8];
  for (int run = 0; run < 8; ++run)
    scales[run] = uint8_t(from.run_scales[run]), mins[run] = uint8_t(from.run_mins[run]);
  block.scale = from.scale, block.min = from.min;
  pack_scales_and_mins(scales, mins, block.sub_scales);
  pack_halves(from.codes, 32, block.codes);
  return block;
}

template <class Block>
void unpack_q4_q5(const Block& block, GridBlock& to) {
  to = {.scale = block.scale, .min = block.min, .run_scales = {}, .run_mins = {}, .codes = {}};
  uint8_t scales[8], mins[8];
  unpack_scales_and_mins(block.sub_scales, scales, mins);
  for (int run = 0; run < 8; ++run) to.run_scales[run] = scales[run], to.run_mins[run] = mins[run];
  unpack_halves(block.codes, 32, to.codes);
}

void pack_q4_k(const GridBlock& from, void* bytes) {
  auto block = packed_q4_q5<BlockQ4_K>(from);
  std::memcpy(bytes, &block, sizeof(block));
}

void unpack_q4_k(const void* bytes, GridBlock& to) {
  BlockQ4_K block;
  std::memcpy(&block, bytes, sizeof(block));
  unpack_q4_q5(block, to);
}

void pack_q5_k(const GridBlock& from, void* bytes) {
  auto block = packed_q4_q5<BlockQ5_K>(from);
  pack_high_bits(from.codes, 4, block.high_bits);
  std::memcpy(bytes, &block, sizeof(block));
}

void unpack_q5_k(const void* bytes, GridBlock& to) {
  BlockQ5_K block;
  std::memcpy(&block, bytes, sizeof(block));
  unpack_q4_q5(block, to);
  unpack_high_bits(block.high_bits, 4, to.codes);
}

void pack_q6_k(const GridBlock& from, void* bytes) {
  BlockQ6_K block = {};
  for (int run = 0; run < 16; ++run) block.sub_scales[run] = int8_t(from.run_scales[run]);
  block.scale = from.scale;
  pack_halves(from.codes, 64, block.low_bits);
  pack_bit_pairs(from.codes, 4, block.high_bits);
  std::memcpy(bytes, &block, sizeof(block));
}

void unpack_q6_k(const void* bytes, GridBlock& to) {
  BlockQ6_K block;
  std::memcpy(&block, bytes, sizeof(block));
  to = {.scale = block.scale, .min = 0, .run_scales = {}, .run_mins = {}, .codes = {}};
  for (int run = 0; run < 16; ++run) to.run_scales[run] = block.sub_scales[run];
  unpack_halves(block.low_bits, 64, to.codes);
  unpack_bit_pairs(block.high_bits, 4, to.codes);
}

void pack_iq4_xs(const GridBlock& from, void* bytes) {
  BlockIQ4_XS block = {};
  for (int run = 0; run < 8; ++run) {
    int stored = from.run_scales[run] + 32;
    block.sub_scales_low[run / 2] = uint8_t(block.sub_scales_low[run / 2] | (stored & 15) << (4 * (run % 2)));
    block.sub_scales_high = uint16_t(block.sub_scales_high | (stored >> 4) << (2 * run));
  }
  block.scale = from.scale;
  pack_halves(from.codes, 16, block.codes);
  std::memcpy(bytes, &block, sizeof(block));
}

void unpack_iq4_xs(const void* bytes, GridBlock& to) {
  BlockIQ4_XS block;
  std::memcpy(&block, bytes, sizeof(block));
  to = {.scale = block.scale, .min = 0, .run_scales = {}, .run_mins = {}, .codes = {}};
  for (int run = 0; run < 8; ++run) {
    int low = block.sub_scales_low[run / 2] >> (4 * (run % 2)) & 15,
        high = block.sub_scales_high >> (2 * run) & 3;
    to.run_scales[run] = int16_t((low | high << 4) - 32);
  }
  unpack_halves(block.codes, 16, to.codes);
}

}  // namespace

const BlockGrid kQ2_KGrid = {TensorType::Q2_K,       256,      16,        codes_to<3>, 0, 15, 15,
                             BlockGrid::Min::kTaken, fit_q2_k, pack_q2_k, unpack_q2_k};
const BlockGrid kQ3_KGrid = {TensorType::Q3_K,
                             256,
                             16,
                             signed_levels<3>,
                             -32,
                             31,
                             0,
                             BlockGrid::Min::kNone,
                             fit_scales<signed_levels<3>, 16, -32, 31>,
                             pack_q3_k,
                             unpack_q3_k};
const BlockGrid kQ4_KGrid = {TensorType::Q4_K,       256,           32,        codes_to<15>, 0, 63, 63,
                             BlockGrid::Min::kTaken, fit_q4_q5<15>, pack_q4_k, unpack_q4_k};
const BlockGrid kQ5_KGrid = {TensorType::Q5_K,       256,           32,        codes_to<31>, 0, 63, 63,
                             BlockGrid::Min::kTaken, fit_q4_q5<31>, pack_q5_k, unpack_q5_k};
const BlockGrid kQ6_KGrid = {TensorType::Q6_K,
                             256,
                             16,
                             signed_levels<6>,
                             -128,
                             127,
                             0,
                             BlockGrid::Min::kNone,
                             fit_scales<signed_levels<6>, 16, -128, 127>,
                             pack_q6_k,
                             unpack_q6_k};
const BlockGrid kIQ4_XSGrid = {TensorType::IQ4_XS,
                               256,
                               32,
                               iq4_levels,
                               -32,
                               31,
                               0,
                               BlockGrid::Min::kNone,
                               fit_scales<iq4_levels, 8, -32, 31>,
                               pack_iq4_xs,
                               unpack_iq4_xs};

void encode_q2_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ2_KGrid, values, importance, blocks, n_values);
}

void encode_q3_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ3_KGrid, values, importance, blocks, n_values);
}

void encode_q4_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ4_KGrid, values, importance, blocks, n_values);
}

void encode_q5_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ5_KGrid, values, importance, blocks, n_values);
}

void encode_q6_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ6_KGrid, values, importance, blocks, n_values);
}

void encode_iq4_xs(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kIQ4_XSGrid, values, importance, blocks, n_values);
}

void encode_q8_k(const float* values, const float*, void* blocks, size_t n_values) {
  auto block = static_cast<BlockQ8_K*>(blocks);
  for (const float* end = values + n_values; values != end; values += 256, ++block) {
    float largest = 0;
    for (int i = 0; i < 256; ++i) largest = std::fabs(values[i]) > largest ? std::fabs(values[i]) : largest;
    *block = {};
    block->scale = largest / 127.0f;
    uint8_t codes[256];
    round_codes(values, 256, block->scale, 0.0f, -127, 127, codes);
    for (int i = 0; i < 256; ++i) {
      block->codes[i] = int8_t(int(codes[i]) - 127);
      block->sums[i / 16] = int16_t(block->sums[i / 16] + block->codes[i]);
    }
  }
}

}  // namespace edgellm
