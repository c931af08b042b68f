// The bytes of IQ1, IQ2 and IQ3 from scales and codes; docs/formats.md describes them.
#include <cstring>

#include "core/blocks/codebook_grid.h"
#include "core/blocks/iq1.h"
#include "core/blocks/iq2.h"
#include "core/blocks/iq3.h"

namespace edgellm {
namespace {

void pack_nibbles(const uint8_t* integers, int n, uint8_t* packed) {
  for (int i = 0; i < n; i += 2) packed[i / 2] = uint8_t(integers[i] | integers[i + 1] << 4);
}

// Four times seven sign bits, and a scale on top.
uint32_t signs_and_scale(const GroupCode* codes, uint8_t integer) {
  uint32_t word = uint32_t(integer) << 28;
  for (int k = 0; k < 4; ++k) word |= uint32_t(codes[k].signs & 127) << (7 * k);
  return word;
}

void pack(const CodebookScales& scales, const GroupCode* codes, BlockIQ2_XXS& block) {
  block.scale = scales.scale;
  for (int sub = 0; sub < 8; ++sub, codes += 4) {
    uint32_t word = signs_and_scale(codes, scales.integers[sub]);
    uint16_t* words = block.words + 4 * sub;
    words[0] = uint16_t(codes[0].indices[0] | codes[1].indices[0] << 8);
    words[1] = uint16_t(codes[2].indices[0] | codes[3].indices[0] << 8);
    words[2] = uint16_t(word & 0xffff), words[3] = uint16_t(word >> 16);
  }
}

void pack(const CodebookScales& scales, const GroupCode* codes, BlockIQ2_XS& block) {
  block.scale = scales.scale;
  for (int group = 0; group < 32; ++group)
    block.codes[group] = uint16_t(codes[group].indices[0] | (codes[group].signs & 127) << 9);
  pack_nibbles(scales.integers, 16, block.sub_scales);
}

void pack(const CodebookScales& scales, const GroupCode* codes, BlockIQ2_S& block) {
  block.scale = scales.scale;
  std::memset(block.high_bits, 0, sizeof(block.high_bits));
  for (int group = 0; group < 32; ++group) {
    int index = codes[group].indices[0];
    block.codes[group] = uint8_t(index & 255);
    block.signs[group] = codes[group].signs;
    block.high_bits[group / 4] = uint8_t(block.high_bits[group / 4] | (index >> 8) << (2 * (group % 4)));
  }
  pack_nibbles(scales.integers, 16, block.sub_scales);
}

void pack(const CodebookScales& scales, const GroupCode* codes, BlockIQ3_XXS& block) {
  block.scale = scales.scale;
  for (int group = 0; group < 32; ++group)
    for (int four = 0; four < 2; ++four) block.codes[2 * group + four] = uint8_t(codes[group].indices[four]);
  for (int sub = 0; sub < 8; ++sub) {
    uint32_t word = signs_and_scale(codes + 4 * sub, scales.integers[sub]);
    for (int byte = 0; byte < 4; ++byte)
      block.signs_and_scales[4 * sub + byte] = uint8_t(word >> (8 * byte) & 255);
  }
}

void pack(const CodebookScales& scales, const GroupCode* codes, BlockIQ3_S& block) {
  block.scale = scales.scale;
  std::memset(block.high_bits, 0, sizeof(block.high_bits));
  for (int group = 0; group < 32; ++group) {
    block.signs[group] = codes[group].signs;
    for (int four = 0; four < 2; ++four) {
      int index = codes[group].indices[four], at = 2 * group + four;
      block.codes[at] = uint8_t(index & 255);
      block.high_bits[at / 8] = uint8_t(block.high_bits[at / 8] | (index >> 8) << (at % 8));
    }
  }
  pack_nibbles(scales.integers, 8, block.sub_scales);
}

void pack(const CodebookScales& scales, const GroupCode* codes, BlockIQ1_S& block) {
  block.scale = scales.scale;
  for (int sub = 0; sub < 8; ++sub) {
    int high = scales.integers[sub] << 12 | (scales.shift_is_down[sub] ? 0x8000 : 0);
    for (int k = 0; k < 4; ++k) {
      int index = codes[4 * sub + k].indices[0];
      block.codes[4 * sub + k] = uint8_t(index & 255);
      high |= (index >> 8) << (3 * k);
    }
    block.high_bits[sub] = uint16_t(high);
  }
}

// IQ1_M has four bits of its scale on top of each of four words.
void set_scale(BlockIQ1_M& block, uint16_t scale) {
  for (int word = 0; word < 4; ++word) {
    uint8_t& high = block.sub_scales[2 * word + 1];
    high = uint8_t((high & 15) | (scale >> (4 * word) & 15) << 4);
  }
}

uint16_t scale_of(const BlockIQ1_M& block) {
  int scale = 0;
  for (int word = 0; word < 4; ++word) scale |= (block.sub_scales[2 * word + 1] >> 4) << (4 * word);
  return uint16_t(scale);
}

void pack(const CodebookScales& scales, const GroupCode* codes, BlockIQ1_M& block) {
  for (int group = 0; group < 32; group += 2) {
    int halves[2];
    for (int k = 0; k < 2; ++k) {
      const GroupCode& code = codes[group + k];
      block.codes[group + k] = uint8_t(code.indices[0] & 255);
      halves[k] = code.indices[0] >> 8 | (code.shift_is_down ? 8 : 0);
    }
    block.high_bits[group / 2] = uint8_t(halves[0] | halves[1] << 4);
  }
  for (int word = 0; word < 4; ++word) {
    int bits = 0;
    for (int k = 0; k < 4; ++k) bits |= scales.integers[4 * word + k] << (3 * k);
    block.sub_scales[2 * word] = uint8_t(bits & 255), block.sub_scales[2 * word + 1] = uint8_t(bits >> 8);
  }
  set_scale(block, scales.scale);
}

}  // namespace

void pack_codebook_block(const CodebookGrid& grid, const CodebookScales& scales, const GroupCode* codes,
                         void* block) {
  switch (grid.type) {
    case TensorType::IQ2_XXS:
      return pack(scales, codes, *static_cast<BlockIQ2_XXS*>(block));
    case TensorType::IQ2_XS:
      return pack(scales, codes, *static_cast<BlockIQ2_XS*>(block));
    case TensorType::IQ2_S:
      return pack(scales, codes, *static_cast<BlockIQ2_S*>(block));
    case TensorType::IQ3_XXS:
      return pack(scales, codes, *static_cast<BlockIQ3_XXS*>(block));
    case TensorType::IQ3_S:
      return pack(scales, codes, *static_cast<BlockIQ3_S*>(block));
    case TensorType::IQ1_S:
      return pack(scales, codes, *static_cast<BlockIQ1_S*>(block));
    default:
      return pack(scales, codes, *static_cast<BlockIQ1_M*>(block));
  }
}

uint16_t codebook_block_scale(const CodebookGrid& grid, const void* block) {
  if (grid.type == TensorType::IQ1_M) return scale_of(*static_cast<const BlockIQ1_M*>(block));
  uint16_t scale;  // all others begin with it
  std::memcpy(&scale, block, sizeof(scale));
  return scale;
}

void set_codebook_block_scale(const CodebookGrid& grid, uint16_t scale, void* block) {
  if (grid.type == TensorType::IQ1_M) return set_scale(*static_cast<BlockIQ1_M*>(block), scale);
  std::memcpy(block, &scale, sizeof(scale));
}

}  // namespace edgellm
