#include "core/blocks/exact_zero.h"

#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace edgellm {
namespace {

// Weights of exactly zero among random ones that do not decode to zero, over rows with and without
// importance.
size_t count_lost_zeros(const TensorTypeInfo& type) {
  constexpr size_t kColumns = 512;
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> values(kColumns), importance(kColumns), decoded(kColumns);
  std::vector<std::byte> blocks(kColumns / type.n_values_per_block * type.n_bytes_per_block);
  size_t n_lost = 0;
  for (int row = 0; row < 32; ++row) {
    for (size_t i = 0; i < kColumns; ++i) {
      values[i] = random() % 2 ? normal(random) : 0;
      if (row % 4 == 3) values[i] = std::abs(values[i]);
      importance[i] = normal(random) * normal(random);
      importance[i] *= importance[i];
    }
    type.encode(values.data(), row % 2 ? importance.data() : nullptr, blocks.data(), kColumns);
    type.decode(blocks.data(), decoded.data(), kColumns);
    for (size_t i = 0; i < kColumns; ++i) n_lost += values[i] == 0 && decoded[i] != 0;
  }
  return n_lost;
}

TEST(ExactZero, IsKeptByTheEncodersOfTypesThatHoldIt) {
  for (const TensorTypeInfo& type : tensor_types()) {
    if (!type.encode || !type.decode) continue;
    size_t n_lost = count_lost_zeros(type);
    if (holds_exact_zero(type.type))
      EXPECT_EQ(n_lost, 0u) << type.name;
    else
      EXPECT_GT(n_lost, 0u) << type.name;
  }
}

}  // namespace
}  // namespace edgellm
