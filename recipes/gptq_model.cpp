#include "recipes/gptq_model.h"

#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/content_hash.h"
#include "core/base/output_file.h"
#include "recipes/calibration_text.h"
#include "recipes/compress/compensated_tensors.h"
#include "recipes/drawn_text.h"
#include "recipes/fit_work.h"
#include "recipes/stored_model.h"

namespace edgellm {
namespace {

constexpr size_t kFewestWindows = 8;
// Version of what the work folder holds; raise it when the same input gives another result.
constexpr const char* kWorkVersion = "gptq 1";

// Drawn from the model, and kept in the work folder.
Result<CalibrationText> drawn_text(std::shared_ptr<const GgufFile> source, const Tokenizer& tokenizer,
                                   const GptqModelOptions& options, const FitWork& work,
                                   const Progress& progress) {
  EDGELLM_ASSIGN_OR_RETURN(
      std::unique_ptr<Decoder> decoder,
      Decoder::load(source, {.n_threads = options.n_threads, .n_logit_rows = 16, .batch_invariant = true}));
  EDGELLM_ASSIGN_OR_RETURN(std::string drawn,
                           draw_text(*decoder, tokenizer, options.n_windows * options.n_window_tokens,
                                     work.model_folder() / "drawn.jsonl", progress));
  return cut_calibration_text(drawn, "drawn from the model itself", tokenizer, options.n_window_tokens,
                              kFewestWindows);
}

nlohmann::json tensor_report(const Compensation& compensation) {
  nlohmann::json tensors = nlohmann::json::array();
  for (const CompensatedTensor& t : compensation.tensors)
    tensors.push_back({{"name", t.name},
                       {"type", to_string(t.type)},
                       {"compensated", t.is_compensated},
                       {"output_error", t.error},
                       {"output_error_nearest", t.nearest_error}});
  return tensors;
}

// Geometric mean of the tensors' output errors beside rounding to nearest's.
double mean_ratio(const Compensation& compensation) {
  double sum = 0, n = 0;
  for (const CompensatedTensor& t : compensation.tensors) {
    if (!t.is_compensated || t.nearest_error <= 0 || t.error <= 0) continue;
    sum += std::log(t.error / t.nearest_error);
    ++n;
  }
  return n > 0 ? std::exp(sum / n) : 1;
}

}  // namespace

Result<nlohmann::json> quantize_gptq_model(std::shared_ptr<const GgufFile> source,
                                           const QuantizationPlan& plan, const ImportanceMatrix* importance,
                                           const GptqModelOptions& options, const Progress& progress) {
  const double started = monotonic_seconds();
  EDGELLM_RETURN_IF_ERROR(check_output(options.output, options.calibrate));
  EDGELLM_RETURN_IF_ERROR(check_is_no_input(options.output, source->paths()));
  EDGELLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::from_metadata(source->metadata()));
  CalibrationText text;
  if (!options.calibrate.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(
        text, read_calibration_text(options.calibrate, tokenizer, options.n_window_tokens, kFewestWindows));
  }
  EDGELLM_ASSIGN_OR_RETURN(std::string model_hash, hash_files(source->paths()));
  std::filesystem::path root =
      options.work.empty() ? options.output.string() + ".work" : options.work.string();
  std::error_code code;
  const bool is_new_work = !std::filesystem::exists(root, code);
  EDGELLM_ASSIGN_OR_RETURN(FitWork work, FitWork::open(root, hash_text(model_hash + kWorkVersion)));
  if (options.calibrate.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(text, drawn_text(source, tokenizer, options, work, progress));
  }
  text.windows.resize(std::min(text.windows.size(), options.n_windows));
  nlohmann::json key = {{"text", text.hash}, {"windows", text.windows.size()}, {"damping", options.damping}};
  for (const auto& [name, type] : plan.types) key["types"][name] = to_string(type);
  EDGELLM_RETURN_IF_ERROR(work.enter_text(hash_text(key.dump())));

  CompensationOptions compensation;
  compensation.folder = work.file("tensors");
  compensation.damping = options.damping;
  compensation.memory_limit = options.memory_limit;
  compensation.n_threads = options.n_threads;
  auto compensated = compensate_tensors(source, plan, text.windows, compensation, progress);
  if (!compensated.ok()) {
    // Nothing to go on from: as if it had not been tried.
    if (is_new_work && !options.calibrate.empty() && std::filesystem::is_empty(compensation.folder, code))
      work.remove();
    return compensated.error();
  }
  const Compensation& done = *compensated;
  ThreadPool threads(options.n_threads);
  {
    CandidateStore store(compensation.folder, *source, importance, threads);
    EDGELLM_RETURN_IF_ERROR(write_stored_model(*source, plan, store, options.output, progress));
  }
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, planned_file_bytes(*source, plan));
  nlohmann::json report = {{"schema", 1},
                           {"command", "quantize"},
                           {"method", "gptq"},
                           {"model_hash", model_hash},
                           {"output", options.output.string()},
                           {"file_bytes", n_bytes},
                           {"calibration",
                            {{"sources", text.sources},
                             {"drawn_from_model", options.calibrate.empty()},
                             {"windows", text.windows.size()},
                             {"window_tokens", text.n_context},
                             {"hash", text.hash}}},
                           {"mean_error_ratio", mean_ratio(done)},
                           {"tensors", tensor_report(done)},
                           {"seconds", monotonic_seconds() - started}};
  if (options.work.empty()) work.remove();
  return report;
}

}  // namespace edgellm
