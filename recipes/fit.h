// edgellm fit: the most accurate file of a model that runs inside a memory budget.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "recipes/fit_effort.h"
#include "recipes/text_source.h"
#include "runtime/graph/kv_cache.h"

namespace edgellm {

// What a plan is chosen for within its bytes. The faster ones take the least time a token that a plan can
// have whose predicted harm is at most kBalancedHarm or kSpeedHarm times that of the most accurate plan.
enum class FitGoal { accuracy, balanced, speed };
constexpr std::string_view to_string(FitGoal goal) {
  if (goal == FitGoal::accuracy) return "accuracy";
  return goal == FitGoal::balanced ? "balanced" : "speed";
}
inline constexpr double kBalancedHarm = 1.1, kSpeedHarm = 1.5;

struct FitOptions {
  std::filesystem::path model;  // GGUF file
  std::filesystem::path output;
  // One of these; a share is of the model's own file size.
  std::optional<uint64_t> memory_bytes;  // of a run: weights, KV cache at n_context, buffers, process
  std::optional<uint64_t> size_bytes;    // of the file
  std::optional<double> size_share;
  size_t n_context = 1024;
  // Of the KV cache; none: f16, or under memory_bytes the one whose plan is predicted to be the more accurate
  // (recipes/kv_choice.h). Told in the file where it is not f16.
  std::optional<KvType> kv_type;
  std::vector<TextSource> calibrate;  // empty: drawn from the model
  std::filesystem::path work;         // empty: OUTPUT.work beside the output
  bool keep_work = false;
  bool drop_layers = true;  // whether layers and parts of them may be left out
  FitGoal goal = FitGoal::accuracy;
  std::optional<double> most_seconds_per_token;  // predicted; with FitGoal::accuracy only
  // Speeds of another machine. Empty: measured on this one, where they are needed.
  std::filesystem::path device_profile = {};
  std::string torch_device = "cpu";  // of feedback and training, as of CompensationOptions
  size_t n_threads = 0;
  std::filesystem::path program;  // of edgellm itself, to measure runs in a process of their own
  FitEffort effort;
  // The time to take: beyond a fast fit, `effort` then does what there is time for (recipes/fit_pace.h).
  std::optional<double> seconds;
};

// Returns the report that is also written beside the output as OUTPUT.json (documented in docs/formats.md).
Result<nlohmann::json> fit(const FitOptions& options, const Progress& progress);

}  // namespace edgellm
