// Every matrix product of every table this CPU can run, against the decoded weights multiplied in double
// precision.
#include "runtime/kernels/kernels.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace edgellm {
namespace {

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};
using Lines = std::unique_ptr<uint8_t, FreeDeleter>;

// Exactly n_bytes readable after the 64-byte boundary, so that a sanitizer sees a read past the end.
Lines aligned_bytes(size_t n_bytes) {
  return Lines(static_cast<uint8_t*>(std::aligned_alloc(64, (n_bytes + 63) / 64 * 64 + 64)));
}

bool is_weights_type(const TensorTypeInfo& type) {
  return type.decode != nullptr;
}

// Random blocks whose values are neither huge nor all but zero: every bit pattern of codes and sub-scales
// occurs.
std::vector<uint8_t> random_weights(const TensorTypeInfo& type, size_t n_values, std::mt19937& random) {
  std::vector<uint8_t> blocks(n_values / type.n_values_per_block * type.n_bytes_per_block);
  std::vector<float> values(type.n_values_per_block);
  for (size_t at = 0; at < blocks.size(); at += type.n_bytes_per_block) {
    float largest;
    do {
      for (size_t i = 0; i < type.n_bytes_per_block; ++i) blocks[at + i] = uint8_t(random());
      type.decode(blocks.data() + at, values.data(), values.size());
      largest = 0;
      for (float v : values) largest = std::isfinite(v) ? std::fmax(largest, std::fabs(v)) : 1e30f;
    } while (largest < 0.01f || largest > 16.0f);
  }
  return blocks;
}

// Activations that every format of 8-bit codes holds exactly: integers whose largest is 127 in every 32,
// times a power of two for every 256.
std::vector<float> exact_activations(size_t n, std::mt19937& random) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = float(int(random() % 255) - 127);
  for (size_t i = 0; i < n; i += 32)
    x[i + random() % std::min<size_t>(32, n - i)] = random() % 2 ? 127.0f : -127.0f;
  for (size_t i = 0; i < n; i += 256) {
    float power = std::ldexp(1.0f, int(random() % 4) - 2);
    for (size_t k = i; k < std::min(n, i + 256); ++k) x[k] *= power;
  }
  return x;
}

std::vector<float> normal_activations(size_t n, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

struct Case {
  size_t n_rows, n_columns, n_tokens, first_row, end_row;
};

// [n_tokens, n_rows]
std::vector<float> product(const Kernels& table, TensorType type, const std::vector<uint8_t>& weights,
                           const std::vector<float>& x, const Case& c, float untouched) {
  ActivationFormat format = activation_format(type, c.n_columns);
  size_t n_bytes = activation_bytes(format, c.n_columns);
  Lines rows = aligned_bytes(n_bytes * c.n_tokens);
  for (size_t t = 0; t < c.n_tokens; ++t)
    table.quantize_activations(format, x.data() + t * c.n_columns, c.n_columns, rows.get() + t * n_bytes);
  Lines scratch = aligned_bytes(table.scratch_bytes(type, c.n_columns));
  std::vector<float> output(c.n_tokens * c.n_rows, untouched);
  table.matrix_product({.type = type,
                        .weights = weights.data(),
                        .n_columns = c.n_columns,
                        .first_row = c.first_row,
                        .end_row = c.end_row,
                        .activations = rows.get(),
                        .n_tokens = c.n_tokens,
                        .output = output.data(),
                        .output_stride = c.n_rows,
                        .scratch = scratch.get()});
  return output;
}

std::vector<Case> cases(const TensorTypeInfo& type) {
  std::vector<size_t> columns;
  for (size_t n : {1, 37, 32, 160, 64, 192, 576, 640, 256, 2304})
    if (n % type.n_values_per_block == 0) columns.push_back(n);
  std::vector<Case> all;
  for (size_t n : columns) {
    all.push_back({1, n, 1, 0, 1});
    all.push_back({70, n, 1, 3, 66});
    all.push_back({9, n, 2, 0, 9});
    all.push_back({21, n, 3, 1, 20});
    all.push_back({34, n, 5, 1, 34});
    all.push_back({32, n, 6, 0, 32});
    all.push_back({37, n, 19, 1, 37});
  }
  return all;
}

// A name for each type that holds weights.
std::vector<const TensorTypeInfo*> weight_types() {
  std::vector<const TensorTypeInfo*> types;
  for (const TensorTypeInfo& type : tensor_types())
    if (is_weights_type(type)) types.push_back(&type);
  return types;
}

class MatrixProductTest : public testing::TestWithParam<const TensorTypeInfo*> {};

// Rounding of float sums: the tables add in different orders.
constexpr double kFloatTolerance = 4e-6;

TEST_P(MatrixProductTest, EqualsTheDecodedProductWhenActivationsAreExact) {
  const TensorTypeInfo& type = *GetParam();
  std::mt19937 random(1 + uint32_t(type.type));
  for (const Case& c : cases(type)) {
    std::vector<uint8_t> weights = random_weights(type, c.n_rows * c.n_columns, random);
    std::vector<float> decoded(c.n_rows * c.n_columns), x;
    type.decode(weights.data(), decoded.data(), decoded.size());
    for (size_t t = 0; t < c.n_tokens; ++t) {
      std::vector<float> row = exact_activations(c.n_columns, random);
      x.insert(x.end(), row.begin(), row.end());
    }
    for (const Kernels* table : usable_kernels()) {
      SCOPED_TRACE(std::string(table->name) + " " + std::to_string(c.n_rows) + "x" +
                   std::to_string(c.n_columns) + ", " + std::to_string(c.n_tokens) + " tokens");
      std::vector<float> output = product(*table, type.type, weights, x, c, 77.0f);
      for (size_t t = 0; t < c.n_tokens; ++t) {
        for (size_t r = 0; r < c.n_rows; ++r) {
          float got = output[t * c.n_rows + r];
          if (r < c.first_row || r >= c.end_row) {
            ASSERT_EQ(got, 77.0f) << "wrote row " << r << " outside of its range";
            continue;
          }
          double sum = 0, size = 0;
          for (size_t i = 0; i < c.n_columns; ++i) {
            double term = double(decoded[r * c.n_columns + i]) * x[t * c.n_columns + i];
            sum += term;
            size += std::fabs(term);
          }
          // Mins are summed apart from the scaled codes, and both can be much larger than their difference.
          ASSERT_NEAR(got, sum, kFloatTolerance * (size + 16.0 * 127.0)) << "token " << t << ", row " << r;
        }
      }
    }
  }
}

TEST_P(MatrixProductTest, StaysWithinTheErrorOfEightBitActivations) {
  const TensorTypeInfo& type = *GetParam();
  std::mt19937 random(100 + uint32_t(type.type));
  const size_t n_columns = type.n_values_per_block == 256 ? 1024 : 640;
  const Case c = {33, n_columns, 7, 0, 33};
  std::vector<uint8_t> weights = random_weights(type, c.n_rows * c.n_columns, random);
  std::vector<float> decoded(c.n_rows * c.n_columns),
      x = normal_activations(c.n_tokens * c.n_columns, random);
  type.decode(weights.data(), decoded.data(), decoded.size());
  ActivationFormat format = activation_format(type.type, n_columns);
  const size_t n_in_block = format == ActivationFormat::q8_256 ? 256 : 32;
  for (const Kernels* table : usable_kernels()) {
    SCOPED_TRACE(table->name);
    std::vector<float> output = product(*table, type.type, weights, x, c, 0.0f);
    for (size_t t = 0; t < c.n_tokens; ++t) {
      for (size_t r = 0; r < c.n_rows; ++r) {
        double sum = 0, bound = 0;
        for (size_t begin = 0; begin < n_columns; begin += n_in_block) {
          double largest = 0, weight_size = 0;
          for (size_t i = begin; i < begin + n_in_block; ++i) {
            double v = x[t * n_columns + i], w = decoded[r * n_columns + i];
            sum += v * w;
            largest = std::fmax(largest, std::fabs(v));
            weight_size += std::fabs(w);
          }
          bound += largest * weight_size * (format == ActivationFormat::f32 ? kFloatTolerance : 0.51 / 127.0);
        }
        ASSERT_NEAR(output[t * c.n_rows + r], sum, bound + 1e-3) << "token " << t << ", row " << r;
      }
    }
  }
}

TEST_P(MatrixProductTest, ZeroActivationsGiveZero) {
  const TensorTypeInfo& type = *GetParam();
  std::mt19937 random(7);
  for (size_t n_tokens : {size_t{1}, size_t{9}}) {
    const Case c = {17, 512, n_tokens, 0, 17};
    std::vector<uint8_t> weights = random_weights(type, c.n_rows * c.n_columns, random);
    std::vector<float> x(c.n_tokens * c.n_columns, 0.0f);
    for (const Kernels* table : usable_kernels())
      for (float y : product(*table, type.type, weights, x, c, 1.0f)) ASSERT_EQ(y, 0.0f) << table->name;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, MatrixProductTest, testing::ValuesIn(weight_types()),
                         [](const auto& instance) { return std::string(instance.param->name); });

TEST(KernelsTest, GenericIsAlwaysUsableAndFirst) {
  std::string names;
  for (const Kernels* table : usable_kernels()) names += std::string(" ") + table->name;
  std::cout << "kernel tables run on this CPU:" << names << "\n";
  testing::Test::RecordProperty("kernel_tables", names);
  ASSERT_FALSE(usable_kernels().empty());
  EXPECT_STREQ(usable_kernels()[0]->name, "generic");
}

TEST(KernelsTest, ActivationRowsAreWholeCacheLines) {
  for (ActivationFormat format : {ActivationFormat::f32, ActivationFormat::q8_32, ActivationFormat::q8_256})
    for (size_t n : {256, 512, 1536, 8960}) EXPECT_EQ(activation_bytes(format, n) % 64, 0u);
}

}  // namespace
}  // namespace edgellm
