// Seconds for rounding one matrix with feedback, factorization included: a llama-2-7b's ffn_down, 4096 rows
// of 11008 values. benchmarks/gptq_layer_speed.py sets it beside the textbook's way in PyTorch.
//   compress_quantize_bench --benchmark_filter='Gptq/Q4_0/sweeps:0'
#include <benchmark/benchmark.h>
#include <string>

#include "compress/quantize/gptq.h"
#include "compress/torch_model/torch_threads.h"

namespace edgellm {
namespace {

constexpr int64_t kRows = 4096, kColumns = 11008, kTokens = 4096;

// Inputs that go together, some of them much larger than others.
const at::Tensor& moment() {
  static const at::Tensor moments = [] {
    at::manual_seed(1);
    at::Tensor inputs = at::randn({kTokens, kColumns}) + at::randn({kTokens, 1});
    inputs.mul_(at::randn({kColumns}).exp());
    return at::mm(inputs.t(), inputs);
  }();
  return moments;
}

void round_matrix(benchmark::State& state, TensorType type, int n_sweeps) {
  set_torch_threads(0);
  at::manual_seed(2);
  const at::Tensor weights = 0.02 * at::randn({kRows, kColumns});
  GptqOptions options;
  options.n_sweeps = n_sweeps;
  moment();
  for (auto _ : state) {
    auto factor = factor_error(moment(), kGptqDamping);
    if (!factor.ok()) return state.SkipWithError(factor.error().message.c_str());
    auto rounded = quantize_gptq(weights, *factor, type, options);
    if (!rounded.ok()) return state.SkipWithError(rounded.error().message.c_str());
    state.counters["error"] = rounded->relative_error;
    state.counters["nearest_error"] = rounded->nearest_error;
  }
}

[[maybe_unused]] const int registered = [] {
  for (TensorType type : {TensorType::Q4_0, TensorType::Q4_K, TensorType::Q2_K, TensorType::IQ2_XXS})
    for (int n_sweeps : {0, GptqOptions().n_sweeps})
      benchmark::RegisterBenchmark(
          ("Gptq/" + std::string(to_string(type)) + "/sweeps:" + std::to_string(n_sweeps)).c_str(),
          round_matrix, type, n_sweeps)
          ->Unit(benchmark::kSecond)
          ->UseRealTime()
          ->Iterations(1);
  return 0;
}();

}  // namespace
}  // namespace edgellm
