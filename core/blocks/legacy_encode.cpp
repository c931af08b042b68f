#include <cstring>

#include "core/blocks/block_grid.h"
#include "core/blocks/iq4.h"
#include "core/blocks/legacy.h"
#include "core/blocks/scale_search.h"

namespace edgellm {
namespace {

void pack_halves(const uint8_t codes[32], uint8_t packed[16]) {
  for (int i = 0; i < 16; ++i) packed[i] = uint8_t((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

void pack_fifth_bits(const uint8_t codes[32], uint8_t packed[4]) {
  std::memset(packed, 0, 4);
  for (int i = 0; i < 32; ++i) packed[i / 8] = uint8_t(packed[i / 8] | (codes[i] >> 4) << (i % 8));
}

template <const Levels& (*levels)()>
void fit_scale(const float* values, const float* weights, int n_blocks, bool, GridBlock* blocks) {
  for (int begin = 0; begin < n_blocks; begin += kMaxRuns) {
    int n_runs = n_blocks - begin < kMaxRuns ? n_blocks - begin : kMaxRuns;
    uint16_t scales[kMaxRuns];
    find_scales(levels(), values + 32 * begin, weights + 32 * begin, n_runs, scales);
    for (int run = 0; run < n_runs; ++run)
      blocks[begin + run].scale = scales[run], blocks[begin + run].min = 0;
  }
}

template <int code_high>
void fit_scale_and_min(const float* values, const float* weights, int n_blocks, bool, GridBlock* blocks) {
  for (int b = 0; b < n_blocks; ++b) {
    auto [scale, min] = find_scale_and_min(code_high, values + 32 * b, weights + 32 * b, 32);
    blocks[b].scale = scale, blocks[b].min = min;
  }
}

// Bytes of the members that a format has.
template <class Block>
void pack(const GridBlock& from, void* bytes) {
  Block block;
  block.scale = from.scale;
  if constexpr (requires { block.min; }) block.min = from.min;
  if constexpr (requires { block.high_bits; }) pack_fifth_bits(from.codes, block.high_bits);
  if constexpr (sizeof(block.codes) == 32)
    for (int i = 0; i < 32; ++i) block.codes[i] = int8_t(int(from.codes[i]) - 127);
  else
    pack_halves(from.codes, block.codes);
  std::memcpy(bytes, &block, sizeof(block));
}

template <class Block>
void unpack(const void* bytes, GridBlock& to) {
  Block block;
  std::memcpy(&block, bytes, sizeof(block));
  to = {.scale = block.scale, .min = 0, .run_scales = {}, .run_mins = {}, .codes = {}};
  if constexpr (requires { block.min; }) to.min = block.min;
  for (int i = 0; i < 32; ++i) {
    if constexpr (sizeof(block.codes) == 32)
      to.codes[i] = uint8_t(int(block.codes[i]) + 127);
    else
      to.codes[i] = i < 16 ? block.codes[i] & 15 : block.codes[i - 16] >> 4;
    if constexpr (requires { block.high_bits; })
      to.codes[i] = uint8_t(to.codes[i] | (block.high_bits[i / 8] >> (i % 8) & 1) << 4);
  }
}

template <class Block, const Levels& (*levels)()>
constexpr BlockGrid grid_with_scale(TensorType type) {
  return {type,        32,           32, levels, 0, 0, 0, BlockGrid::Min::kNone, fit_scale<levels>,
          pack<Block>, unpack<Block>};
}

template <class Block, int code_high>
constexpr BlockGrid grid_with_min(TensorType type) {
  return {type,
          32,
          32,
          codes_to<code_high>,
          0,
          0,
          0,
          BlockGrid::Min::kAdded,
          fit_scale_and_min<code_high>,
          pack<Block>,
          unpack<Block>};
}

}  // namespace

const BlockGrid kQ4_0Grid = grid_with_scale<BlockQ4_0, signed_levels<4>>(TensorType::Q4_0);
const BlockGrid kQ5_0Grid = grid_with_scale<BlockQ5_0, signed_levels<5>>(TensorType::Q5_0);
const BlockGrid kQ8_0Grid = grid_with_scale<BlockQ8_0, signed_levels<8>>(TensorType::Q8_0);
const BlockGrid kIQ4_NLGrid = grid_with_scale<BlockIQ4_NL, iq4_levels>(TensorType::IQ4_NL);
const BlockGrid kQ4_1Grid = grid_with_min<BlockQ4_1, 15>(TensorType::Q4_1);
const BlockGrid kQ5_1Grid = grid_with_min<BlockQ5_1, 31>(TensorType::Q5_1);

void encode_q4_0(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ4_0Grid, values, importance, blocks, n_values);
}

void encode_q4_1(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ4_1Grid, values, importance, blocks, n_values);
}

void encode_q5_0(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ5_0Grid, values, importance, blocks, n_values);
}

void encode_q5_1(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ5_1Grid, values, importance, blocks, n_values);
}

void encode_q8_0(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ8_0Grid, values, importance, blocks, n_values);
}

void encode_iq4_nl(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kIQ4_NLGrid, values, importance, blocks, n_values);
}

}  // namespace edgellm
