// For tests: random inputs, and a check run on every table of kernels that this CPU can run.
#pragma once

#include <cstdint>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "runtime/kernels/kernels.h"

namespace edgellm {

inline std::vector<float> random_values(size_t n, uint32_t seed, float deviation = 1.0f, float mean = 0.0f) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(mean, deviation);
  std::vector<float> values(n);
  for (float& v : values) v = normal(engine);
  return values;
}

// The name of the table stands on every failure.
template <typename Check>
void for_each_table(Check check) {
  for (const Kernels* table : usable_kernels()) {
    SCOPED_TRACE(table->name);
    check(*table);
  }
}

}  // namespace edgellm
