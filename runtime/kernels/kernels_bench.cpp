// Speed of every matrix product on one thread, at the sizes of a 1.5-billion-parameter model. One token: GB/s
// of weights read, from a matrix too large for any cache. 512 tokens: products of a weight and an activation
// a second.
//   runtime_kernels_bench --benchmark_filter='avx512/Q4_K/.*'
#include <benchmark/benchmark.h>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "runtime/kernels/kernels.h"

namespace edgellm {
namespace {

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};
using Lines = std::unique_ptr<uint8_t, FreeDeleter>;

Lines aligned_bytes(size_t n_bytes) {
  return Lines(static_cast<uint8_t*>(std::aligned_alloc(64, (n_bytes + 127) / 64 * 64)));
}

// One row of blocks without huge values, repeated.
std::vector<uint8_t> random_row(const TensorTypeInfo& type, size_t n_columns) {
  std::mt19937 random(1);
  std::vector<uint8_t> row(*row_bytes(type.type, n_columns));
  std::vector<float> values(type.n_values_per_block);
  for (size_t at = 0; at < row.size(); at += type.n_bytes_per_block) {
    float largest;
    do {
      for (size_t i = 0; i < type.n_bytes_per_block; ++i) row[at + i] = uint8_t(random());
      type.decode(row.data() + at, values.data(), values.size());
      largest = 0;
      for (float v : values) largest = v > -1e30f && v < 1e30f ? std::max(largest, std::abs(v)) : 1e30f;
    } while (largest > 1e3f);
  }
  return row;
}

void multiply(benchmark::State& state, const Kernels& table, TensorType type, size_t n_rows, size_t n_columns,
              size_t n_tokens) {
  std::vector<uint8_t> row = random_row(info(type), n_columns);
  std::vector<uint8_t> weights(row.size() * n_rows);
  for (size_t r = 0; r < n_rows; ++r)
    std::copy(row.begin(), row.end(), weights.begin() + long(r * row.size()));
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  ActivationFormat format = activation_format(type, n_columns);
  size_t n_bytes = activation_bytes(format, n_columns);
  Lines activations = aligned_bytes(n_bytes * n_tokens),
        scratch = aligned_bytes(table.scratch_bytes(type, n_columns));
  std::vector<float> x(n_columns), output(n_tokens * n_rows);
  for (size_t t = 0; t < n_tokens; ++t) {
    for (float& v : x) v = normal(random);
    table.quantize_activations(format, x.data(), n_columns, activations.get() + t * n_bytes);
  }
  MatrixProduct product = {type,   weights.data(),    n_columns, 0,
                           n_rows, activations.get(), n_tokens,  output.data(),
                           n_rows, scratch.get()};
  for (auto _ : state) {
    table.matrix_product(product);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(int64_t(state.iterations()) * int64_t(weights.size()));
  state.counters["GMAC/s"] = benchmark::Counter(double(n_rows * n_columns * n_tokens) * 1e-9,
                                                benchmark::Counter::kIsIterationInvariantRate);
}

const bool kRegistered = [] {
  struct Size {
    size_t n_rows, n_columns, n_tokens;
  };
  const Size sizes[] = {{151936, 1536, 1}, {8960, 1536, 512}, {1536, 8960, 512},
                        {8960, 1536, 4},   {8960, 1536, 8},   {8960, 1536, 16}};
  for (const Kernels* table : usable_kernels()) {
    for (const TensorTypeInfo& type : tensor_types()) {
      if (!type.decode) continue;
      for (const Size& size : sizes) {
        std::string name = std::string(table->name) + "/" + std::string(type.name) + "/" +
                           std::to_string(size.n_rows) + "x" + std::to_string(size.n_columns) +
                           "/tokens:" + std::to_string(size.n_tokens);
        benchmark::RegisterBenchmark(name.c_str(), [table, type = type.type, size](benchmark::State& state) {
          multiply(state, *table, type, size.n_rows, size.n_columns, size.n_tokens);
        })->Unit(benchmark::kMillisecond);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace edgellm
