// Matrix products written plainly: what every instruction set's version is tested against. A block is
// unpacked to the integers it stands for, and every format then goes through the same two sums.
#include <cmath>
#include <cstring>

#include "core/base/float16.h"
#include "core/blocks/binary.h"
#include "core/blocks/codebooks.h"
#include "core/blocks/iq1.h"
#include "core/blocks/iq2.h"
#include "core/blocks/iq3.h"
#include "core/blocks/iq4.h"
#include "core/blocks/k_quants.h"
#include "core/blocks/legacy.h"
#include "runtime/kernels/activation_rows.h"
#include "runtime/kernels/generic/generic.h"

namespace edgellm::generic {
namespace {

// value[i] = scale * sub_scales[i / 16] * codes[i] - min * sub_mins[i / 16]
struct Integers {
  float scale = 0, min = 0;
  int16_t sub_scales[16], sub_mins[16];
  int8_t codes[256];
};

void unpack(const BlockQ4_0& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  for (int i = 0; i < 16; ++i) {
    out.codes[i] = int8_t((block.codes[i] & 15) - 8);
    out.codes[i + 16] = int8_t((block.codes[i] >> 4) - 8);
  }
}

void unpack(const BlockQ4_1& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  out.min = -float_from_half(block.min);
  for (int i = 0; i < 16; ++i) {
    out.codes[i] = int8_t(block.codes[i] & 15);
    out.codes[i + 16] = int8_t(block.codes[i] >> 4);
  }
}

void unpack(const BlockQ5_0& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  for (int i = 0; i < 32; ++i) {
    int low = i < 16 ? block.codes[i] & 15 : block.codes[i - 16] >> 4;
    out.codes[i] = int8_t((low | (block.high_bits[i / 8] >> (i % 8) & 1) << 4) - 16);
  }
}

void unpack(const BlockQ5_1& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  out.min = -float_from_half(block.min);
  for (int i = 0; i < 32; ++i) {
    int low = i < 16 ? block.codes[i] & 15 : block.codes[i - 16] >> 4;
    out.codes[i] = int8_t(low | (block.high_bits[i / 8] >> (i % 8) & 1) << 4);
  }
}

void unpack(const BlockQ8_0& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  memcpy(out.codes, block.codes, 32);
}

void unpack(const BlockIQ4_NL& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  for (int i = 0; i < 16; ++i) {
    out.codes[i] = kIq4Levels[block.codes[i] & 15];
    out.codes[i + 16] = kIq4Levels[block.codes[i] >> 4];
  }
}

void unpack(const BlockQ2_0& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  for (int i = 0; i < 64; ++i) out.codes[i] = int8_t((block.codes[i / 4] >> (2 * (i % 4)) & 3) - 1);
}

void unpack(const BlockQ2_K& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  out.min = float_from_half(block.min);
  for (int sub = 0; sub < 16; ++sub) {
    out.sub_scales[sub] = block.sub_scales[sub] & 15;
    out.sub_mins[sub] = block.sub_scales[sub] >> 4;
  }
  for (int i = 0; i < 256; ++i)
    out.codes[i] = int8_t(block.codes[32 * (i / 128) + i % 32] >> (2 * (i / 32 % 4)) & 3);
}

void unpack(const BlockQ3_K& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  uint8_t scales[16];
  unpack_q3_k_scales(block.sub_scales, scales);
  for (int sub = 0; sub < 16; ++sub) out.sub_scales[sub] = int16_t(scales[sub] - 32);
  for (int i = 0; i < 256; ++i) {
    int low = block.codes[32 * (i / 128) + i % 32] >> (2 * (i / 32 % 4)) & 3;
    out.codes[i] = int8_t((low | (block.high_bits[i % 32] >> (i / 32) & 1) << 2) - 4);
  }
}

void unpack_sub_scales(const uint8_t packed[12], Integers& out) {
  uint8_t scales[8], mins[8];
  unpack_scales_and_mins(packed, scales, mins);
  for (int sub = 0; sub < 16; ++sub) {
    out.sub_scales[sub] = scales[sub / 2];
    out.sub_mins[sub] = mins[sub / 2];
  }
}

void unpack(const BlockQ4_K& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  out.min = float_from_half(block.min);
  unpack_sub_scales(block.sub_scales, out);
  for (int i = 0; i < 256; ++i)
    out.codes[i] = int8_t(block.codes[32 * (i / 64) + i % 32] >> (4 * (i / 32 % 2)) & 15);
}

void unpack(const BlockQ5_K& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  out.min = float_from_half(block.min);
  unpack_sub_scales(block.sub_scales, out);
  for (int i = 0; i < 256; ++i) {
    int low = block.codes[32 * (i / 64) + i % 32] >> (4 * (i / 32 % 2)) & 15;
    out.codes[i] = int8_t(low | (block.high_bits[i % 32] >> (i / 32) & 1) << 4);
  }
}

void unpack(const BlockQ6_K& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  for (int sub = 0; sub < 16; ++sub) out.sub_scales[sub] = block.sub_scales[sub];
  for (int i = 0; i < 256; ++i) {
    int low = block.low_bits[64 * (i / 128) + i % 64] >> (4 * (i / 64 % 2)) & 15;
    int high = block.high_bits[32 * (i / 128) + i % 32] >> (2 * (i / 32 % 4)) & 3;
    out.codes[i] = int8_t((low | high << 4) - 32);
  }
}

void unpack(const BlockIQ4_XS& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  for (int sub = 0; sub < 16; ++sub) {
    int low = block.sub_scales_low[sub / 4] >> (4 * (sub / 2 % 2)) & 15;
    int high = block.sub_scales_high >> (sub / 2 * 2) & 3;
    out.sub_scales[sub] = int16_t((low | high << 4) - 32);
  }
  for (int i = 0; i < 256; ++i)
    out.codes[i] = kIq4Levels[block.codes[16 * (i / 32) + i % 16] >> (4 * (i / 16 % 2)) & 15];
}

// Values 8 * group .. 8 * group + 7: the bytes of a codebook entry, negative where a bit of `signs` is set.
void unpack_group(uint64_t entry, uint8_t signs, int group, Integers& out) {
  for (int i = 0; i < 8; ++i) {
    auto magnitude = int8_t(entry >> (8 * i) & 255);
    out.codes[8 * group + i] = signs >> i & 1 ? int8_t(-magnitude) : magnitude;
  }
}

// The codebook types' sub-scales stand for the odd numbers 2 * s + 1.
int16_t odd_scale(int s) {
  return int16_t(2 * (s & 15) + 1);
}

void unpack(const BlockIQ2_XXS& block, Integers& out) {
  out.scale = float_from_half(block.scale) / 8;
  for (int group = 0; group < 32; ++group) {
    const uint16_t* words = block.words + 4 * (group / 4);
    uint32_t indices = words[0] | uint32_t(words[1]) << 16, rest = words[2] | uint32_t(words[3]) << 16;
    out.sub_scales[group / 2] = odd_scale(int(rest >> 28));
    unpack_group(kIq2XxsCodebook[indices >> (8 * (group % 4)) & 255],
                 signs_from_seven_bits(rest >> (7 * (group % 4))), group, out);
  }
}

void unpack(const BlockIQ2_XS& block, Integers& out) {
  out.scale = float_from_half(block.scale) / 8;
  for (int group = 0; group < 32; ++group) {
    out.sub_scales[group / 2] = odd_scale(block.sub_scales[group / 4] >> (4 * (group / 2 % 2)));
    unpack_group(kIq2XsCodebook[block.codes[group] & 511], signs_from_seven_bits(block.codes[group] >> 9),
                 group, out);
  }
}

void unpack(const BlockIQ2_S& block, Integers& out) {
  out.scale = float_from_half(block.scale) / 8;
  for (int group = 0; group < 32; ++group) {
    int index = block.codes[group] | (block.high_bits[group / 4] >> (2 * (group % 4)) & 3) << 8;
    out.sub_scales[group / 2] = odd_scale(block.sub_scales[group / 4] >> (4 * (group / 2 % 2)));
    unpack_group(kIq2SCodebook[size_t(index)], block.signs[group], group, out);
  }
}

void unpack(const BlockIQ3_XXS& block, Integers& out) {
  out.scale = float_from_half(block.scale) / 4;
  for (int group = 0; group < 32; ++group) {
    const uint8_t* bytes = block.signs_and_scales + 4 * (group / 4);
    uint32_t word = bytes[0] | uint32_t(bytes[1]) << 8 | uint32_t(bytes[2]) << 16 | uint32_t(bytes[3]) << 24;
    uint64_t first = kIq3XxsCodebook[block.codes[2 * group]],
             last = kIq3XxsCodebook[block.codes[2 * group + 1]];
    out.sub_scales[group / 2] = odd_scale(int(word >> 28));
    unpack_group(first | last << 32, signs_from_seven_bits(word >> (7 * (group % 4))), group, out);
  }
}

void unpack(const BlockIQ3_S& block, Integers& out) {
  out.scale = float_from_half(block.scale);
  for (int group = 0; group < 32; ++group) {
    int high = block.high_bits[group / 4] >> (2 * (group % 4));
    uint64_t first = kIq3SCodebook[size_t(block.codes[2 * group] | (high & 1) << 8)];
    uint64_t last = kIq3SCodebook[size_t(block.codes[2 * group + 1] | (high >> 1 & 1) << 8)];
    out.sub_scales[group / 2] = odd_scale(block.sub_scales[group / 8] >> (4 * (group / 4 % 2)));
    unpack_group(first | last << 32, block.signs[group], group, out);
  }
}

// IQ1's values less or more than a codebook value by an eighth: nine times an eighth at most.
void unpack_shifted_group(uint64_t entry, bool down, int group, Integers& out) {
  for (int i = 0; i < 8; ++i)
    out.codes[8 * group + i] = int8_t(8 * int8_t(entry >> (8 * i) & 255) + (down ? -1 : 1));
}

void unpack(const BlockIQ1_S& block, Integers& out) {
  out.scale = float_from_half(block.scale) / 8;
  for (int group = 0; group < 32; ++group) {
    int high = block.high_bits[group / 4];
    out.sub_scales[group / 2] = odd_scale(high >> 12 & 7);
    int index = block.codes[group] | (high >> (3 * (group % 4)) & 7) << 8;
    unpack_shifted_group(kIq1Codebook[size_t(index)], high & 0x8000, group, out);
  }
}

void unpack(const BlockIQ1_M& block, Integers& out) {
  int words[4], half = 0;
  for (int i = 0; i < 4; ++i) {
    words[i] = block.sub_scales[2 * i] | block.sub_scales[2 * i + 1] << 8;
    half |= (words[i] >> 12) << (4 * i);
  }
  out.scale = float_from_half(uint16_t(half)) / 8;
  for (int group = 0; group < 32; ++group) {
    int high = block.high_bits[group / 2] >> (4 * (group % 2));
    out.sub_scales[group / 2] = odd_scale(words[group / 8] >> (3 * (group / 2 % 4)) & 7);
    int index = block.codes[group] | (high & 7) << 8;
    unpack_shifted_group(kIq1Codebook[size_t(index)], high & 8, group, out);
  }
}

// Sums of n values of a block and one token's codes: dot of the scaled codes, and the activations weighted by
// the mins.
struct Sums {
  int32_t scaled = 0, mins = 0;
};

Sums multiply(const Integers& weights, size_t first, const int8_t* codes, size_t n) {
  Sums sums;
  for (size_t sub = first / 16; sub < (first + n) / 16; ++sub) {
    int32_t dot = 0, sum = 0;
    for (size_t i = 16 * sub; i < 16 * sub + 16; ++i, ++codes) {
      dot += weights.codes[i] * *codes;
      sum += *codes;
    }
    sums.scaled += weights.sub_scales[sub] * dot;
    sums.mins += weights.sub_mins[sub] * sum;
  }
  return sums;
}

template <class Block>
void multiply_blocks(const MatrixProduct& p) {
  constexpr ActivationFormat format =
      Block::n_values == 256 ? ActivationFormat::q8_256 : ActivationFormat::q8_32;
  // Values under one activation scale: a block, or half of one of 64.
  constexpr size_t n_in_part = Block::n_values == 256 ? 256 : 32;
  const ActivationPlanes planes = activation_planes(format, p.n_columns);
  const size_t n_blocks = p.n_columns / Block::n_values;
  Integers integers;
  // Formats without sub-blocks, or without mins, leave these as they are.
  for (int sub = 0; sub < 16; ++sub) {
    integers.sub_scales[sub] = 1;
    integers.sub_mins[sub] = Block::n_values == 256 ? 0 : 1;
  }
  for (size_t row = p.first_row; row < p.end_row; ++row) {
    auto blocks = static_cast<const Block*>(p.weights) + row * n_blocks;
    for (size_t token = 0; token < p.n_tokens; ++token) p.output[token * p.output_stride + row] = 0;
    for (size_t b = 0; b < n_blocks; ++b) {
      unpack(blocks[b], integers);
      for (size_t token = 0; token < p.n_tokens; ++token) {
        auto activations = static_cast<const uint8_t*>(p.activations) + token * planes.n_bytes;
        auto codes = reinterpret_cast<const int8_t*>(activations) + b * Block::n_values;
        auto scales = reinterpret_cast<const float*>(activations + planes.scales);
        for (size_t first = 0; first < Block::n_values; first += n_in_part) {
          Sums sums = multiply(integers, first, codes + first, n_in_part);
          p.output[token * p.output_stride + row] +=
              scales[(b * Block::n_values + first) / n_in_part] *
              (integers.scale * float(sums.scaled) - integers.min * float(sums.mins));
        }
      }
    }
  }
}

// Types without an integer product: the row is decoded once and kept in scratch.
void multiply_decoded(const MatrixProduct& p) {
  const TensorTypeInfo& type = info(p.type);
  const size_t row_bytes = p.n_columns / type.n_values_per_block * type.n_bytes_per_block;
  const size_t token_bytes = activation_planes(ActivationFormat::f32, p.n_columns).n_bytes;
  auto weights = static_cast<float*>(p.scratch);
  for (size_t row = p.first_row; row < p.end_row; ++row) {
    type.decode(static_cast<const uint8_t*>(p.weights) + row * row_bytes, weights, p.n_columns);
    for (size_t token = 0; token < p.n_tokens; ++token) {
      auto x =
          reinterpret_cast<const float*>(static_cast<const uint8_t*>(p.activations) + token * token_bytes);
      // Partial sums keep the rounding error small and let the compiler use vectors.
      float partial[16] = {};
      size_t i = 0;
      for (; i + 16 <= p.n_columns; i += 16)
        for (size_t k = 0; k < 16; ++k) partial[k] += weights[i + k] * x[i + k];
      for (; i < p.n_columns; ++i) partial[i % 16] += weights[i] * x[i];
      float sum = 0;
      for (float part : partial) sum += part;
      p.output[token * p.output_stride + row] = sum;
    }
  }
}

}  // namespace

void quantize_activations(ActivationFormat format, const float* x, size_t n_columns, void* row) {
  if (format == ActivationFormat::f32) {
    memcpy(row, x, n_columns * sizeof(float));
    return;
  }
  const ActivationPlanes planes = activation_planes(format, n_columns);
  const size_t n_in_block = format == ActivationFormat::q8_32 ? 32 : 256;
  auto codes = static_cast<int8_t*>(row);
  auto scales = reinterpret_cast<float*>(static_cast<uint8_t*>(row) + planes.scales);
  for (size_t b = 0; b < n_columns / n_in_block; ++b, x += n_in_block, codes += n_in_block) {
    float largest = 0;
    for (size_t i = 0; i < n_in_block; ++i) largest = std::fmax(largest, std::fabs(x[i]));
    // Below this the inverse would overflow; such values are as good as zero.
    const float inverse = largest > 1e-30f ? 127.0f / largest : 0.0f;
    scales[b] = largest / 127.0f;
    for (size_t i = 0; i < n_in_block; ++i) codes[i] = int8_t(std::nearbyint(x[i] * inverse));
  }
}

size_t scratch_bytes(TensorType type, size_t n_columns) {
  return activation_format(type, n_columns) == ActivationFormat::f32 ? n_columns * sizeof(float) : 0;
}

void matrix_product(const MatrixProduct& p) {
  switch (p.type) {
    case TensorType::Q4_0:
      return multiply_blocks<BlockQ4_0>(p);
    case TensorType::Q4_1:
      return multiply_blocks<BlockQ4_1>(p);
    case TensorType::Q5_0:
      return multiply_blocks<BlockQ5_0>(p);
    case TensorType::Q5_1:
      return multiply_blocks<BlockQ5_1>(p);
    case TensorType::Q8_0:
      return multiply_blocks<BlockQ8_0>(p);
    case TensorType::IQ4_NL:
      return multiply_blocks<BlockIQ4_NL>(p);
    case TensorType::Q2_0:
      return multiply_blocks<BlockQ2_0>(p);
    case TensorType::Q2_K:
      return multiply_blocks<BlockQ2_K>(p);
    case TensorType::Q3_K:
      return multiply_blocks<BlockQ3_K>(p);
    case TensorType::Q4_K:
      return multiply_blocks<BlockQ4_K>(p);
    case TensorType::Q5_K:
      return multiply_blocks<BlockQ5_K>(p);
    case TensorType::Q6_K:
      return multiply_blocks<BlockQ6_K>(p);
    case TensorType::IQ4_XS:
      return multiply_blocks<BlockIQ4_XS>(p);
    case TensorType::IQ2_XXS:
      return multiply_blocks<BlockIQ2_XXS>(p);
    case TensorType::IQ2_XS:
      return multiply_blocks<BlockIQ2_XS>(p);
    case TensorType::IQ2_S:
      return multiply_blocks<BlockIQ2_S>(p);
    case TensorType::IQ3_XXS:
      return multiply_blocks<BlockIQ3_XXS>(p);
    case TensorType::IQ3_S:
      return multiply_blocks<BlockIQ3_S>(p);
    case TensorType::IQ1_S:
      return multiply_blocks<BlockIQ1_S>(p);
    case TensorType::IQ1_M:
      return multiply_blocks<BlockIQ1_M>(p);
    default:
      return multiply_decoded(p);
  }
}

}  // namespace edgellm::generic
