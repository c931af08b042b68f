// The products of a decoder, timed by type.
#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <random>

#include "core/base/build_description.h"
#include "core/base/interrupt.h"
#include "core/base/machine.h"
#include "recipes/device_profile.h"
#include "runtime/backends/aligned_buffer.h"
#include "runtime/backends/cpu/cpu_backend.h"

namespace edgellm {
namespace {

constexpr size_t kColumns = 4096, kSampleRows = 64;
// A prompt's products are bound by arithmetic, so that their matrix may be of a few megabytes.
constexpr size_t kPromptRows = 2048, kPromptTokens = 128;
constexpr uint64_t kLeastMatrixBytes = uint64_t{64} << 20, kMostMatrixBytes = uint64_t{256} << 20;
constexpr int kPassesPerRound = 2;

uint64_t matrix_bytes_for(const MachineDescription& machine) {
  uint64_t largest_cache = 0;
  if (machine.caches.ok())
    for (const CpuCache& cache : *machine.caches) largest_cache = std::max(largest_cache, cache.n_bytes);
  return std::clamp(2 * largest_cache, kLeastMatrixBytes, kMostMatrixBytes);
}

struct TimedType {
  TensorType type;
  std::vector<std::byte> sample;  // kSampleRows encoded rows
  std::vector<double> generation, prompt;
};

std::vector<TimedType> encode_samples() {
  std::mt19937 random(1);
  std::vector<float> values(kSampleRows * kColumns);
  for (float& v : values) v = float(int32_t(random()) * 0x1p-31 + int32_t(random()) * 0x1p-31);
  std::vector<TimedType> types;
  for (const TensorTypeInfo& type : tensor_types()) {
    if (!is_writable(type)) continue;
    size_t n_row_bytes = *row_bytes(type.type, kColumns);
    TimedType timed = {type.type, std::vector<std::byte>(kSampleRows * n_row_bytes), {}, {}};
    for (size_t row = 0; row < kSampleRows; ++row)
      type.encode(values.data() + row * kColumns, nullptr, timed.sample.data() + row * n_row_bytes, kColumns);
    types.push_back(std::move(timed));
  }
  return types;
}

class Stopwatch {
 public:
  Stopwatch(CpuBackend& backend, uint64_t n_matrix_bytes)
      : backend_(backend), matrix_(n_matrix_bytes), x_(kPromptTokens * kColumns * sizeof(float)) {
    auto* values = reinterpret_cast<float*>(x_.data());
    std::mt19937 random(2);
    for (size_t i = 0; x_.data() && i < kPromptTokens * kColumns; ++i)
      values[i] = float(int32_t(random()) * 0x1p-31);
  }
  bool has_memory() const { return matrix_.data() && x_.data(); }

  // Adds this round's timings of a type.
  void time(TimedType& timed, bool prompts) {
    size_t n_row_bytes = *row_bytes(timed.type, kColumns);
    size_t n_rows = matrix_.n_bytes() / n_row_bytes / kSampleRows * kSampleRows;
    for (size_t row = 0; row < n_rows; row += kSampleRows)
      std::memcpy(matrix_.data() + row * n_row_bytes, timed.sample.data(), timed.sample.size());
    backend_.reserve_product(timed.type, kColumns, kPromptTokens);
    for (int pass = 0; pass < kPassesPerRound; ++pass)
      timed.generation.push_back(seconds_of(timed.type, n_rows, 1));
    if (prompts) timed.prompt.push_back(seconds_of(timed.type, std::min(n_rows, kPromptRows), kPromptTokens));
  }

 private:
  // For one weight and token.
  double seconds_of(TensorType type, size_t n_rows, size_t n_tokens) {
    Matrix matrix = {type, matrix_.data(), n_rows, kColumns};
    output_.resize(std::max(output_.size(), n_rows * n_tokens));
    ProductTask task = {&matrix, nullptr, output_.data(), n_rows};
    double started = monotonic_seconds();
    backend_.products(reinterpret_cast<const float*>(x_.data()), n_tokens, kColumns, {&task, 1});
    return (monotonic_seconds() - started) / (double(n_rows) * double(kColumns) * double(n_tokens));
  }

  CpuBackend& backend_;
  AlignedBuffer matrix_, x_;
  std::vector<float> output_;
};

}  // namespace

Result<DeviceProfile> measure_device_profile(const DeviceProfileOptions& options, const Progress& progress) {
  EDGELLM_RETURN_IF_ERROR(kernels_status());
  MachineDescription machine = describe_machine();
  DeviceProfile profile;
  profile.n_columns = kColumns;
  profile.n_matrix_bytes = options.n_matrix_bytes ? options.n_matrix_bytes : matrix_bytes_for(machine);
  profile.n_prompt_tokens = options.prompts ? kPromptTokens : 0;
  profile.machine = machine;
  profile.build = describe_build();
  CpuBackend backend(options.n_threads);
  profile.backend = backend.description();
  profile.n_threads = backend.n_threads();

  Stopwatch stopwatch(backend, profile.n_matrix_bytes);
  if (!stopwatch.has_memory())
    return Error{fmt::format("cannot measure this device: there is no memory for a matrix of {:.0f} MB",
                             double(profile.n_matrix_bytes) / 1e6)};
  std::vector<TimedType> types = encode_samples();
  ProgressMeter meter(progress, "measuring this device", double(types.size() * (options.n_rounds + 1)));
  for (size_t round = 0; round <= options.n_rounds; ++round)
    for (TimedType& timed : types) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      stopwatch.time(timed, options.prompts);
      // The first round warms up.
      if (round == 0) {
        timed.generation.clear();
        timed.prompt.clear();
      }
      meter.add(1, std::string(to_string(timed.type)));
    }
  meter.finish();
  for (TimedType& timed : types) {
    TypeSpeed& speed = profile.types[timed.type];
    speed.generation = spread_of(std::move(timed.generation));
    if (options.prompts) speed.prompt = spread_of(std::move(timed.prompt));
  }
  return profile;
}

Result<DeviceProfile> kept_device_profile(const std::filesystem::path& path, size_t n_threads,
                                          const Progress& progress) {
  if (auto kept = read_device_profile(path); kept.ok() && kept->n_threads == n_threads) return kept;
  EDGELLM_ASSIGN_OR_RETURN(
      DeviceProfile profile,
      measure_device_profile({.n_threads = n_threads, .n_rounds = 3, .prompts = false}, progress));
  EDGELLM_RETURN_IF_ERROR(write_device_profile(profile, path));
  return profile;
}

}  // namespace edgellm
