#include "recipes/fit_budget.h"

#include <algorithm>
#include <fmt/format.h>

#include "recipes/quantize.h"

namespace edgellm {

FitBudget::FitBudget(const FitOptions& options, const GgufFile& source, const Hyperparameters& model,
                     size_t n_threads)
    : options_(options), source_(source), model_(model), n_threads_(n_threads) {
  if (!options.memory_bytes) return;
  // Rows of an embedding that is not the output matrix too are read one by one.
  if (const GgufTensor* embedding = source.find("token_embd.weight");
      embedding && !has_tied_embedding(source))
    lookup_ = {embedding->name, looked_up_bytes(~uint64_t{0}, options.n_context)};
}

uint64_t FitBudget::weight_bytes(KvType kv) const {
  if (options_.size_bytes) return *options_.size_bytes;
  if (options_.size_share) return uint64_t(*options_.size_share * double(source_.n_file_bytes()));
  const uint64_t memory = options_.memory_bytes.value_or(0);
  return memory - std::min(memory, run_memory(0, kv).total());
}

bool FitBudget::leaves_kv_open() const {
  return options_.memory_bytes && !options_.kv_type && KvCache::fits(model_, KvType::q8_0);
}

KvType FitBudget::smallest_kv() const {
  return leaves_kv_open() ? KvType::q8_0 : options_.kv_type.value_or(KvType::f16);
}

Status FitBudget::check_kv() const {
  if (!options_.kv_type || KvCache::fits(model_, *options_.kv_type)) return {};
  return Error{fmt::format("--kv {}: it wants head widths that are multiples of 32, got {} and {}; use f16",
                           to_string(*options_.kv_type), model_.head_width_k, model_.head_width_v)};
}

RunMemory FitBudget::run_memory(uint64_t n_counted_bytes, KvType kv) const {
  RunShape shape;
  shape.n_context = options_.n_context;
  shape.kv_type = kv;
  shape.n_threads = n_threads_;
  return estimate_run_memory(model_, source_.metadata(), n_counted_bytes, shape);
}

Error FitBudget::too_small(uint64_t n_smallest, KvType kv) const {
  if (!options_.memory_bytes)
    return Error{
        fmt::format("no plan fits a file of {:.1f} MB: the smallest possible takes {:.1f} MB ({} bytes)",
                    double(weight_bytes(kv)) / 1e6, double(n_smallest) / 1e6, n_smallest)};
  const RunMemory run = run_memory(n_smallest, kv);
  return Error{
      fmt::format("no plan runs in {:.1f} MB at a context of {}: the smallest possible takes {:.1f} MB, of "
                  "which {:.1f} MB are weights ({} bytes)",
                  double(*options_.memory_bytes) / 1e6, options_.n_context, double(run.total()) / 1e6,
                  double(n_smallest) / 1e6, run.total())};
}

}  // namespace edgellm
