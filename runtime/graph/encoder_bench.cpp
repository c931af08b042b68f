// Tokens a second of the encoder in the folder that EDGELLM_ENCODER names, all layers, 32 sequences at once.
// benchmarks/text_encoder_speed.py sets it beside PyTorch.
//   EDGELLM_ENCODER=FOLDER runtime_graph_bench --benchmark_filter='Encode/32$'
#include <benchmark/benchmark.h>
#include <cstdlib>
#include <random>

#include "runtime/graph/encoder.h"

namespace edgellm {
namespace {

constexpr size_t kSequences = 32;
constexpr int32_t kLargestId = 999;

void Encode(benchmark::State& state) {
  const char* folder = std::getenv("EDGELLM_ENCODER");
  if (!folder) return state.SkipWithError("EDGELLM_ENCODER names no folder");
  auto encoder = Encoder::load(folder);
  if (!encoder.ok()) return state.SkipWithError(encoder.error().message.c_str());
  std::mt19937 random(1);
  std::vector<int32_t> ids(size_t(state.range(0)));
  for (int32_t& id : ids) id = int32_t(random() % kLargestId) + 1;
  const std::vector<TextEncoderInput> sequences(kSequences, TextEncoderInput{ids, {}});
  std::vector<float> out;
  for (auto _ : state) {
    Status status = (*encoder)->encode(sequences, (*encoder)->n_layers(), out);
    if (!status.ok()) return state.SkipWithError(status.error().message.c_str());
  }
  state.SetItemsProcessed(int64_t(state.iterations() * kSequences * ids.size()));
}
BENCHMARK(Encode)->Arg(16)->Arg(32)->Arg(128)->Arg(512)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace edgellm
