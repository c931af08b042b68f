// NF4 with double quantization, QLoRA's type of a frozen base (Dettmers et al., "QLoRA: Efficient Finetuning
// of Quantized LLMs", arXiv 2305.14314), as bitsandbytes 0.50 stores it. No GGUF type; it lives in memory
// only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace edgellm {

// Quantiles of a normal distribution, zero among them.
inline constexpr std::array<float, 16> kNf4Values = {-1.0f,
                                                     -0.6961928009986877f,
                                                     -0.5250730514526367f,
                                                     -0.39491748809814453f,
                                                     -0.28444138169288635f,
                                                     -0.18477343022823334f,
                                                     -0.09105003625154495f,
                                                     0.0f,
                                                     0.07958029955625534f,
                                                     0.16093020141124725f,
                                                     0.24611230194568634f,
                                                     0.33791524171829224f,
                                                     0.44070982933044434f,
                                                     0.5626170039176941f,
                                                     0.7229568362236023f,
                                                     1.0f};

// Scales stored in 8 bits: scale = dynamic_map()[code] * the nested scale of its 256 + offset.
struct Nf4NestedScales {
  std::vector<uint8_t> codes;  // one a block
  std::vector<float> scales;   // one for 256 blocks
  float offset = 0;            // mean of the blocks' scales
};

struct Nf4Values {
  size_t n_values = 0;
  size_t n_block = 64;              // values that share a scale
  std::vector<uint8_t> codes;       // two a byte, the first in the high four bits
  std::vector<float> scales;        // largest magnitude of each block; empty when nested
  Nf4NestedScales nested;           // empty when not
  uint64_t n_bytes() const;         // of all of it
  float scale(size_t block) const;  // as it decodes
};

// values.size() a multiple of 2. double_quantized: scales take 8 bits and 32 for every 256 of them, instead
// of 32 each: 4.127 bits a value instead of 4.5.
Nf4Values quantize_nf4(std::span<const float> values, bool double_quantized, size_t n_block = 64);
void dequantize_nf4(const Nf4Values& quantized, std::span<float> values);

// The 256 values of bitsandbytes' signed dynamic type (arXiv 2110.02861): a sign, up to seven decimal
// exponents, and the fraction in the bits that are left.
const std::array<float, 256>& dynamic_map();

}  // namespace edgellm
