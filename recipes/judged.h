// How near a model is to the original on the text that a fit keeps for nothing else.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "evaluate/divergence.h"
#include "runtime/decode/runtime_language_model.h"

namespace edgellm {

struct Judged {
  double kl = 0, kl_error = 0, percentile_99 = 0, same_top = 1, perplexity = 0;
};

Result<Judged> judge_model(LanguageModel& model, const TextWindows& text, const ReferenceLogits& reference,
                           const Progress& progress);

Result<Judged> judge_file(const std::filesystem::path& path, const RuntimeModelOptions& options,
                          const TextWindows& text, const ReferenceLogits& reference,
                          const Progress& progress);

// As a fit's report has it: docs/formats.md.
nlohmann::json to_json(const Judged& judged);

// What `judge` gives, or what an earlier run kept of it in `log`, a file of lines {"key": K, "mean_kl": ...};
// a torn line is left out. Error: judge's, or when the log cannot be written.
Result<Judged> judge_once(const std::filesystem::path& log, const std::string& key,
                          const std::function<Result<Judged>()>& judge);

}  // namespace edgellm
