// How fast a device multiplies weights of every block format: measured by `edgellm bench --profile`, kept as
// a small JSON file (docs/formats.md), and weighed by `edgellm fit --optimize speed`, on another machine too.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/blocks/tensor_type.h"
#include "recipes/quantize.h"
#include "recipes/spread.h"

namespace edgellm {

struct TypeSpeed {
  Spread generation;             // seconds a weight, in products with one token
  std::optional<Spread> prompt;  // seconds a weight and token, in products with many
};

struct DeviceProfile {
  std::string backend;  // "CPU, avx2, 2 threads"
  size_t n_threads = 0;
  nlohmann::json machine, build;  // as bench describes them
  uint64_t n_matrix_bytes = 0;    // of the matrices one token was multiplied with
  size_t n_columns = 0, n_prompt_tokens = 0;
  std::map<TensorType, TypeSpeed> types;

  // Of a weight in generation; nothing for a type that was not measured.
  std::optional<double> seconds_per_weight(TensorType type) const;
};

struct DeviceProfileOptions {
  size_t n_threads = 0;         // 0: all usable cores
  size_t n_rounds = 7;          // over all types, so that a drift meets all of them
  bool prompts = true;          // products with many tokens, too
  uint64_t n_matrix_bytes = 0;  // 0: twice the largest cache, 64 to 256 MB
};

// Of every type that can be written. Error when interrupted or when there is no memory for the matrices.
Result<DeviceProfile> measure_device_profile(const DeviceProfileOptions& options, const Progress& progress);
// The one kept at this path where it is of as many threads; else measured, without prompts, and kept there.
Result<DeviceProfile> kept_device_profile(const std::filesystem::path& path, size_t n_threads,
                                          const Progress& progress);

nlohmann::ordered_json profile_json(const DeviceProfile& profile);
Status write_device_profile(const DeviceProfile& profile, const std::filesystem::path& path);
// Error names the file and what is wrong: no profile, another schema, a speed that is none. Types this
// program does not know are passed over.
Result<DeviceProfile> read_device_profile(const std::filesystem::path& path);

// The seconds that the matrix products of one token take in generation: all weights but an embedding that is
// only looked up. Attention, norms and what else a token needs come on top. Nothing when the plan has a type
// that was not measured.
std::optional<double> predicted_seconds_per_token(const GgufFile& source, const QuantizationPlan& plan,
                                                  const DeviceProfile& profile);

}  // namespace edgellm
