#include <cstring>

#include "core/base/float16.h"
#include "core/blocks/iq4.h"
#include "core/blocks/legacy.h"
#include "core/blocks/scale_search.h"

namespace edgellm {
namespace {

// Calls encode_block(values, weights, block) for every block of a row.
template <class Block, class EncodeBlock>
void for_each_block(const float* values, const float* importance, void* blocks, size_t n_values,
                    EncodeBlock encode_block) {
  RowWeights row_weights(importance, n_values);
  auto block = static_cast<Block*>(blocks);
  for (size_t begin = 0; begin < n_values; begin += Block::n_values, ++block) {
    float weights[Block::n_values];
    row_weights.copy(begin, int(Block::n_values), weights);
    encode_block(values + begin, weights, *block);
  }
}

// The same for formats with a scale alone, which is searched for many blocks at once: encode_block(values,
// block) finds block.scale set.
template <class Block, class EncodeBlock>
void for_each_scaled_block(const Levels& levels, const float* values, const float* importance, void* blocks,
                           size_t n_values, EncodeBlock encode_block) {
  RowWeights row_weights(importance, n_values);
  auto block = static_cast<Block*>(blocks);
  constexpr size_t kStep = 32 * kMaxRuns;
  for (size_t begin = 0; begin < n_values; begin += kStep) {
    int n_runs = int((n_values - begin < kStep ? n_values - begin : kStep) / 32);
    float weights[kStep];
    uint16_t scales[kMaxRuns];
    row_weights.copy(begin, 32 * n_runs, weights);
    find_scales(levels, values + begin, weights, n_runs, scales);
    for (int run = 0; run < n_runs; ++run, ++block) {
      block->scale = scales[run];
      encode_block(values + begin + 32 * size_t(run), *block);
    }
  }
}

void pack_halves(const uint8_t codes[32], uint8_t packed[16]) {
  for (int i = 0; i < 16; ++i) packed[i] = uint8_t((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

void pack_fifth_bits(const uint8_t codes[32], uint8_t packed[4]) {
  std::memset(packed, 0, 4);
  for (int i = 0; i < 32; ++i) packed[i / 8] = uint8_t(packed[i / 8] | (codes[i] >> 4) << (i % 8));
}

}  // namespace

void encode_q4_0(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_scaled_block<BlockQ4_0>(whole_levels(4), values, importance, blocks, n_values,
                                   [](auto x, BlockQ4_0& block) {
                                     uint8_t codes[32];
                                     round_codes(x, 32, float_from_half(block.scale), 0.0f, -8, 7, codes);
                                     pack_halves(codes, block.codes);
                                   });
}

void encode_q4_1(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_block<BlockQ4_1>(values, importance, blocks, n_values, [](auto x, auto weights, BlockQ4_1& block) {
    auto [scale, min] = find_scale_and_min(15, x, weights, 32);
    block.scale = scale, block.min = min;
    uint8_t codes[32];
    round_codes(x, 32, float_from_half(scale), -float_from_half(min), 0, 15, codes);
    pack_halves(codes, block.codes);
  });
}

void encode_q5_0(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_scaled_block<BlockQ5_0>(whole_levels(5), values, importance, blocks, n_values,
                                   [](auto x, BlockQ5_0& block) {
                                     uint8_t codes[32];
                                     round_codes(x, 32, float_from_half(block.scale), 0.0f, -16, 15, codes);
                                     pack_halves(codes, block.codes);
                                     pack_fifth_bits(codes, block.high_bits);
                                   });
}

void encode_q5_1(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_block<BlockQ5_1>(values, importance, blocks, n_values, [](auto x, auto weights, BlockQ5_1& block) {
    auto [scale, min] = find_scale_and_min(31, x, weights, 32);
    block.scale = scale, block.min = min;
    uint8_t codes[32];
    round_codes(x, 32, float_from_half(scale), -float_from_half(min), 0, 31, codes);
    pack_halves(codes, block.codes);
    pack_fifth_bits(codes, block.high_bits);
  });
}

void encode_q8_0(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_scaled_block<BlockQ8_0>(whole_levels(8), values, importance, blocks, n_values,
                                   [](auto x, BlockQ8_0& block) {
                                     uint8_t codes[32];
                                     round_codes(x, 32, float_from_half(block.scale), 0.0f, -127, 127, codes);
                                     for (int i = 0; i < 32; ++i)
                                       block.codes[i] = int8_t(int(codes[i]) - 127);
                                   });
}

void encode_iq4_nl(const float* values, const float* importance, void* blocks, size_t n_values) {
  for_each_scaled_block<BlockIQ4_NL>(iq4_levels(), values, importance, blocks, n_values,
                                     [](auto x, BlockIQ4_NL& block) {
                                       uint8_t codes[32];
                                       round_iq4_codes(x, 32, float_from_half(block.scale), codes);
                                       pack_halves(codes, block.codes);
                                     });
}

}  // namespace edgellm
