// Decoding and encoding speed of every type, in bytes of float values a second. core_blocks_bench
// --benchmark_filter=Q4_K
#include <benchmark/benchmark.h>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "core/blocks/tensor_type.h"

namespace edgellm {
namespace {

constexpr size_t kRow = 4096, kRows = 16;

std::vector<float> random_values(float spread) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(kRow * kRows);
  for (float& value : values) value = 0.02f * normal(random) * std::exp(spread * normal(random));
  return values;
}

void encode(benchmark::State& state, const TensorTypeInfo& type, bool weighted) {
  auto values = random_values(0.3f), importance = random_values(1.0f);
  for (float& weight : importance) weight *= weight;
  std::vector<uint8_t> row(*row_bytes(type.type, kRow));
  for (auto _ : state)
    for (size_t i = 0; i < kRows; ++i) {
      type.encode(values.data() + i * kRow, weighted ? importance.data() : nullptr, row.data(), kRow);
      benchmark::DoNotOptimize(row.data());
    }
  state.SetBytesProcessed(state.iterations() * int64_t(4 * kRow * kRows));
}

void decode(benchmark::State& state, const TensorTypeInfo& type) {
  std::vector<uint8_t> row(*row_bytes(type.type, kRow), 0x11);
  std::vector<float> values(kRow);
  for (auto _ : state)
    for (size_t i = 0; i < kRows; ++i) {
      type.decode(row.data(), values.data(), kRow);
      benchmark::DoNotOptimize(values.data());
    }
  state.SetBytesProcessed(state.iterations() * int64_t(4 * kRow * kRows));
}

const bool kRegistered = [] {
  for (const TensorTypeInfo& type : tensor_types()) {
    std::string name(type.name);
    if (type.decode)
      benchmark::RegisterBenchmark(("decode/" + name).c_str(),
                                   [&type](benchmark::State& state) { decode(state, type); });
    if (!type.encode) continue;
    benchmark::RegisterBenchmark(("encode/" + name).c_str(),
                                 [&type](benchmark::State& state) { encode(state, type, false); });
    benchmark::RegisterBenchmark(("encode_with_importance/" + name).c_str(),
                                 [&type](benchmark::State& state) { encode(state, type, true); });
  }
  return true;
}();

}  // namespace
}  // namespace edgellm
