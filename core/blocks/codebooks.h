// The codebooks of IQ1, IQ2 and IQ3, unpacked: an entry is 8 values of one byte each (IQ1, IQ2) or 4 (IQ3),
// the first value lowest. The bytes of IQ1 are signed.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace edgellm {

// What the packed values of codebook_data.h stand for; two bits a value in IQ1 and IQ2, three in IQ3.
inline constexpr uint8_t kIq1Levels[3] = {255, 0, 1};
inline constexpr uint8_t kIq2Levels[3] = {8, 25, 43};
inline constexpr uint8_t kIq3XxsLevels[8] = {4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr uint8_t kIq3SLevels[8] = {1, 3, 5, 7, 9, 11, 13, 15};

extern const std::array<uint64_t, 2048> kIq1Codebook;
extern const std::array<uint64_t, 256> kIq2XxsCodebook;
extern const std::array<uint64_t, 512> kIq2XsCodebook;
extern const std::array<uint64_t, 1024> kIq2SCodebook;
extern const std::array<uint32_t, 256> kIq3XxsCodebook;
extern const std::array<uint32_t, 512> kIq3SCodebook;

// Eight signs stored in seven bits: the number of minus signs is even, so the eighth bit is their parity.
constexpr uint8_t signs_from_seven_bits(uint32_t bits) {
  bits &= 127;
  return uint8_t(bits | uint32_t(std::popcount(bits) & 1) << 7);
}

}  // namespace edgellm
