#include "core/blocks/codebooks.h"

#include <cstddef>

#include "core/blocks/codebook_data.h"

namespace edgellm {
namespace {

template <class Entry, int n_bits, size_t n>
constexpr std::array<Entry, n> unpack(const uint16_t (&packed)[n], const uint8_t* levels) {
  std::array<Entry, n> codebook{};
  for (size_t entry = 0; entry < n; ++entry)
    for (size_t i = 0; i < sizeof(Entry); ++i)
      codebook[entry] |= Entry(levels[packed[entry] >> (n_bits * i) & ((1 << n_bits) - 1)]) << (8 * i);
  return codebook;
}

}  // namespace

constexpr std::array<uint64_t, 2048> kIq1Codebook = unpack<uint64_t, 2>(kIq1Packed, kIq1Levels);
constexpr std::array<uint64_t, 256> kIq2XxsCodebook = unpack<uint64_t, 2>(kIq2XxsPacked, kIq2Levels);
constexpr std::array<uint64_t, 512> kIq2XsCodebook = unpack<uint64_t, 2>(kIq2XsPacked, kIq2Levels);
constexpr std::array<uint64_t, 1024> kIq2SCodebook = unpack<uint64_t, 2>(kIq2SPacked, kIq2Levels);
constexpr std::array<uint32_t, 256> kIq3XxsCodebook = unpack<uint32_t, 3>(kIq3XxsPacked, kIq3XxsLevels);
constexpr std::array<uint32_t, 512> kIq3SCodebook = unpack<uint32_t, 3>(kIq3SPacked, kIq3SLevels);

}  // namespace edgellm
