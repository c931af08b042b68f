#include "recipes/calibrated_model.h"

#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/content_hash.h"
#include "core/base/output_file.h"
#include "recipes/calibration_text.h"
#include "recipes/compensation_report.h"
#include "recipes/compress/awq_tensors.h"
#include "recipes/compress/trained_tensors.h"
#include "recipes/drawn_text.h"
#include "recipes/fit_work.h"
#include "recipes/stored_model.h"
#include "recipes/training_report.h"

namespace edgellm {
namespace {

constexpr size_t kFewestWindows = 8;
// Version of what the work folder holds; raise it when the same input gives another result.
constexpr const char* kWorkVersion = "gptq 5";

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

Result<nlohmann::json> quantize_in(const std::filesystem::path& root, std::shared_ptr<const GgufFile> source,
                                   const QuantizationPlan& plan, const ImportanceMatrix* importance,
                                   const CalibratedModelOptions& options, const Progress& progress) {
  const double started = monotonic_seconds();
  EDGELLM_RETURN_IF_ERROR(check_output(options.output, files_of(options.calibrate)));
  EDGELLM_RETURN_IF_ERROR(check_is_no_input(options.output, source->paths()));
  EDGELLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::from_metadata(source->metadata()));
  CalibrationText text;
  if (!options.calibrate.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(text, read_calibration_text(options.calibrate, *source, tokenizer,
                                                         options.n_window_tokens, kFewestWindows));
  }
  EDGELLM_ASSIGN_OR_RETURN(std::string model_hash, hash_files(source->paths()));
  std::error_code code;
  const bool is_new_work = !std::filesystem::exists(root, code);
  EDGELLM_ASSIGN_OR_RETURN(FitWork work, FitWork::open(root, hash_text(model_hash + kWorkVersion)));
  if (options.calibrate.empty()) {
    DrawnText wanted = {options.n_windows, options.n_window_tokens, kFewestWindows,
                        work.model_folder() / "drawn.jsonl", options.n_threads};
    EDGELLM_ASSIGN_OR_RETURN(text, draw_calibration_text(source, tokenizer, wanted, progress));
  }
  text.windows.resize(std::min(text.windows.size(), options.n_windows));
  EDGELLM_RETURN_IF_ERROR(work.enter_text(
      hash_text(fmt::format("{} {} {} {} {} {}", plan_hash(plan), text.hash, text.windows.size(),
                            options.damping, options.weigh_tokens, options.n_layer_epochs) +
                (options.is_awq ? " awq" : ""))));

  CompensationOptions compensation;
  compensation.folder = work.file(options.n_training_epochs ? "tensors-to-train" : "tensors");
  compensation.damping = options.damping;
  compensation.weigh_tokens = options.weigh_tokens;
  compensation.n_layer_epochs = options.n_layer_epochs;
  compensation.memory_limit = options.memory_limit;
  compensation.device = options.device;
  compensation.n_threads = options.n_threads;
  auto compensated = (options.is_awq ? awq_tensors : compensate_tensors)(
      source, plan, windows_before_training(text.windows, options.n_layer_epochs, options.n_training_epochs),
      compensation, progress);
  if (!compensated.ok()) {
    // Nothing to go on from: as if it had not been tried.
    if (is_new_work && !options.calibrate.empty() && std::filesystem::is_empty(compensation.folder, code))
      work.remove();
    return compensated.error();
  }
  const Compensation& done = *compensated;
  ThreadPool threads(options.n_threads);
  std::optional<GridTraining> training;
  if (options.n_training_epochs) {
    {
      // What GPTQ leaves to the plain encoders, which know the importance.
      CandidateStore store(compensation.folder, *source, importance, threads);
      for (const auto& [name, type] : plan.types)
        if (auto encoded = store.get(*source->find(name), type); !encoded.ok()) return encoded.error();
    }
    GridTrainingOptions o;
    o.encoded = compensation.folder;
    o.changed = done.changed();
    o.folder = work.file(fmt::format("trained-{}", options.n_training_epochs));
    o.n_epochs = options.n_training_epochs;
    o.memory_limit = options.memory_limit;
    o.device = options.device;
    o.n_threads = options.n_threads;
    EDGELLM_ASSIGN_OR_RETURN(training, train_tensors(source, plan, text.windows, o, progress));
    if (training->best_epoch) compensation.folder = o.folder;
  }
  {
    CandidateStore store(compensation.folder, *source, importance, threads);
    for (const std::string& name : training && training->best_epoch ? training->changed : done.changed())
      store.use_changed(name);
    EDGELLM_RETURN_IF_ERROR(write_stored_model(*source, plan, store, options.output, progress));
  }
  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, planned_file_bytes(*source, plan));
  nlohmann::json report = {{"schema", 1},
                           {"command", "quantize"},
                           {"method", options.is_awq ? "awq" : "gptq"},
                           {"model", options.model},
                           {"model_hash", model_hash},
                           {"output", options.output.string()},
                           {"file_bytes", n_bytes},
                           {"calibration", to_json(text)},
                           {"mean_error_ratio", mean_ratio(done)},
                           {"tensors", to_json(done.tensors)},
                           {"seconds", monotonic_seconds() - started}};
  report["calibration"]["drawn_from_model"] = options.calibrate.empty();
  if (options.n_layer_epochs) report["layers"] = to_json(done.layers);
  if (training) report["training"] = to_json(*training);
  if (!options.report.empty())
    EDGELLM_RETURN_IF_ERROR(write_text_file(options.report, report.dump(2) + "\n"));
  if (options.work.empty()) work.remove();
  return report;
}

}  // namespace

Result<nlohmann::json> quantize_calibrated_model(std::shared_ptr<const GgufFile> source,
                                                 const QuantizationPlan& plan,
                                                 const ImportanceMatrix* importance,
                                                 const CalibratedModelOptions& options,
                                                 const Progress& progress) {
  const std::filesystem::path root =
      options.work.empty() ? options.output.string() + ".work" : options.work.string();
  auto report = quantize_in(root, std::move(source), plan, importance, options, progress);
  return report.ok() ? std::move(report) : with_work_named(report.error(), root);
}

}  // namespace edgellm
