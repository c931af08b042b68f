#include "runtime/backends/cpu/cpu_backend.h"

#include <gtest/gtest.h>
#include <random>

namespace edgellm {
namespace {

std::vector<float> random_values(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = float(int32_t(random())) * 0x1p-31f;
  return values;
}

// Rows of 512 and of 96 values: the second has a rest where 256 or 64 are taken together.
TEST(CpuBackend, BatchInvariantProductsDoNotDependOnHowManyTokensThereAre) {
  constexpr size_t kRows = 70, kMostTokens = 37;
  for (const Kernels* table : usable_kernels())
    for (const TensorTypeInfo& type : tensor_types()) {
      if (!type.encode) continue;
      for (size_t n_columns : {size_t{512}, size_t{96}}) {
        auto n_row_bytes = row_bytes(type.type, n_columns);
        if (!n_row_bytes) continue;
        std::vector<float> weights = random_values(kRows * n_columns, 1);
        AlignedBuffer encoded(kRows * *n_row_bytes), x(kMostTokens * n_columns * sizeof(float));
        type.encode(weights.data(), nullptr, encoded.data(), weights.size());
        auto inputs = reinterpret_cast<float*>(x.data());
        std::vector<float> values = random_values(kMostTokens * n_columns, 2);
        std::copy(values.begin(), values.end(), inputs);
        Matrix matrix = {type.type, encoded.data(), kRows, n_columns};
        CpuBackend backend(2, *table, true);
        backend.reserve_product(type.type, n_columns, kMostTokens);
        std::vector<float> all(kMostTokens * kRows), some(kMostTokens * kRows);
        ProductTask task = {&matrix, nullptr, all.data(), kRows};
        backend.products(inputs, kMostTokens, n_columns, {&task, 1});
        task.output = some.data();
        for (size_t n_tokens : {1, 2, 3, 11, 12, 13, 20}) {
          backend.products(inputs, n_tokens, n_columns, {&task, 1});
          EXPECT_TRUE(std::equal(some.begin(), some.begin() + ptrdiff_t(n_tokens * kRows), all.begin()))
              << table->name << " " << type.name << " rows of " << n_columns << ", " << n_tokens << " tokens";
        }
      }
    }
}

}  // namespace
}  // namespace edgellm
