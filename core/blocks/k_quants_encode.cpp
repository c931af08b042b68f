#include <cmath>
#include <cstring>

#include "core/base/float16.h"
#include "core/blocks/iq4.h"
#include "core/blocks/k_quants.h"
#include "core/blocks/scale_search.h"

namespace edgellm {
namespace {

template <class Block, class EncodeBlock>
void for_each_block(const float* values, const float* importance, void* blocks, size_t n_values,
                    EncodeBlock encode_block) {
  RowWeights row_weights(importance, n_values);
  auto block = static_cast<Block*>(blocks);
  for (size_t begin = 0; begin < n_values; begin += 256, ++block) {
    float weights[256];
    row_weights.copy(begin, 256, weights);
    std::memset(static_cast<void*>(block), 0, sizeof(Block));
    encode_block(values + begin, weights, *block);
  }
}

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

// Finds scales and mins of 8 sub-blocks of 32 and the codes, for Q4_K and Q5_K.
template <class Block>
void encode_q4_q5(int code_high, const float* values, const float* weights, Block& block,
                  uint8_t codes[256]) {
  SubScalesAndMins found = find_sub_scales_and_mins(code_high, values, weights, 8, 32, 63);
  uint8_t scales[8], mins[8];
  for (int sub = 0; sub < 8; ++sub) {
    scales[sub] = uint8_t(found.scales[sub]), mins[sub] = uint8_t(found.mins[sub]);
    round_codes(values + 32 * sub, 32, float_from_half(found.scale) * float(found.scales[sub]),
                float_from_half(found.min) * float(found.mins[sub]), 0, code_high, codes + 32 * sub);
  }
  block.scale = found.scale, block.min = found.min;
  pack_scales_and_mins(scales, mins, block.sub_scales);
  pack_halves(codes, 32, block.codes);
}

}  // namespace

void encode_q2_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  auto encode_block = [importance](const float* x, const float* weights, BlockQ2_K& block) {
    SubScalesAndMins found = find_sub_scales_and_mins(3, x, weights, 16, 16, 15);
    float sign = 1, mirrored[256];
    if (importance) {
      // Scale and minimum may both be negative, which turns the grid around; at 4 bits for the sub-minima
      // that is another set of grids, and the better of the two is one or two percent nearer.
      for (int i = 0; i < 256; ++i) mirrored[i] = -x[i];
      SubScalesAndMins turned = find_sub_scales_and_mins(3, mirrored, weights, 16, 16, 15);
      if (turned.error < found.error) found = turned, sign = -1, x = mirrored;
    }
    uint8_t codes[256];
    for (int sub = 0; sub < 16; ++sub) {
      block.sub_scales[sub] = uint8_t(found.scales[sub] | found.mins[sub] << 4);
      round_codes(x + 16 * sub, 16, float_from_half(found.scale) * float(found.scales[sub]),
                  float_from_half(found.min) * float(found.mins[sub]), 0, 3, codes + 16 * sub);
    }
    block.scale = half_from_float(sign * float_from_half(found.scale));
    block.min = half_from_float(sign * float_from_half(found.min));
    pack_bit_pairs(codes, 0, block.codes);
  };
  for_each_block<BlockQ2_K>(values, importance, blocks, n_values, encode_block);
}

void encode_q3_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_block<BlockQ3_K>(values, importance, blocks, n_values, [](auto x, auto weights, BlockQ3_K& block) {
    SubScales found = find_sub_scales(whole_levels(3), x, weights, 16, 16, -32, 31);
    uint8_t codes[256], scales[16];
    for (int sub = 0; sub < 16; ++sub) {
      scales[sub] = uint8_t(found.scales[sub] + 32);
      round_codes(x + 16 * sub, 16, float_from_half(found.scale) * float(found.scales[sub]), 0.0f, -4, 3,
                  codes + 16 * sub);
    }
    block.scale = found.scale;
    pack_q3_k_scales(scales, block.sub_scales);
    pack_bit_pairs(codes, 0, block.codes);
    pack_high_bits(codes, 2, block.high_bits);
  });
}

void encode_q4_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_block<BlockQ4_K>(values, importance, blocks, n_values, [](auto x, auto weights, BlockQ4_K& block) {
    uint8_t codes[256];
    encode_q4_q5(15, x, weights, block, codes);
  });
}

void encode_q5_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_block<BlockQ5_K>(values, importance, blocks, n_values, [](auto x, auto weights, BlockQ5_K& block) {
    uint8_t codes[256];
    encode_q4_q5(31, x, weights, block, codes);
    pack_high_bits(codes, 4, block.high_bits);
  });
}

void encode_q6_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_block<BlockQ6_K>(values, importance, blocks, n_values, [](auto x, auto weights, BlockQ6_K& block) {
    SubScales found = find_sub_scales(whole_levels(6), x, weights, 16, 16, -128, 127);
    uint8_t codes[256];
    for (int sub = 0; sub < 16; ++sub) {
      block.sub_scales[sub] = int8_t(found.scales[sub]);
      round_codes(x + 16 * sub, 16, float_from_half(found.scale) * float(found.scales[sub]), 0.0f, -32, 31,
                  codes + 16 * sub);
    }
    block.scale = found.scale;
    pack_halves(codes, 64, block.low_bits);
    pack_bit_pairs(codes, 4, block.high_bits);
  });
}

void encode_q8_k(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_block<BlockQ8_K>(values, importance, blocks, n_values, [](auto x, auto, BlockQ8_K& block) {
    float largest = 0;
    for (int i = 0; i < 256; ++i) largest = std::fabs(x[i]) > largest ? std::fabs(x[i]) : largest;
    block.scale = largest / 127.0f;
    uint8_t codes[256];
    round_codes(x, 256, block.scale, 0.0f, -127, 127, codes);
    for (int i = 0; i < 256; ++i) {
      block.codes[i] = int8_t(int(codes[i]) - 127);
      block.sums[i / 16] = int16_t(block.sums[i / 16] + block.codes[i]);
    }
  });
}

void encode_iq4_xs(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_block<BlockIQ4_XS>(
      values, importance, blocks, n_values, [](auto x, auto weights, BlockIQ4_XS& block) {
        SubScales found = find_sub_scales(iq4_levels(), x, weights, 8, 32, -32, 31);
        uint8_t codes[256];
        for (int sub = 0; sub < 8; ++sub) {
          int stored = found.scales[sub] + 32;
          block.sub_scales_low[sub / 2] =
              uint8_t(block.sub_scales_low[sub / 2] | (stored & 15) << (4 * (sub % 2)));
          block.sub_scales_high = uint16_t(block.sub_scales_high | (stored >> 4) << (2 * sub));
          round_iq4_codes(x + 32 * sub, 32, float_from_half(found.scale) * float(found.scales[sub]),
                          codes + 32 * sub);
        }
        block.scale = found.scale;
        pack_halves(codes, 16, block.codes);
      });
}

}  // namespace edgellm
