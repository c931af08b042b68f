#include "recipes/pruned_model.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/content_hash.h"
#include "core/base/output_file.h"
#include "recipes/drawn_text.h"

namespace edgellm {
namespace {

constexpr size_t kWindowTokens = 256;
constexpr size_t kFirstScoredRow =
    16;  // the first predictions of a window know too little to tell models apart
constexpr size_t kFewestWindows = 12;
constexpr size_t kDrawnWindows = 48;
constexpr size_t kJudgedWindows = 12;  // for choosing, and again for judging
constexpr size_t kMostCalibration = 80;

// A fresh folder beside the output, or for temporary files where there is none.
Result<std::filesystem::path> make_folder(const std::filesystem::path& output) {
  std::error_code code;
  std::string name = output.empty() ? (std::filesystem::temp_directory_path(code) / "edgellm-prune").string()
                                    : output.string() + ".work";
  name += "-" + std::string(6, 'X');  // mkdtemp puts letters in place of these
  if (!::mkdtemp(name.data())) return Error{fmt::format("cannot make the work folder {}", name)};
  return std::filesystem::path(name);
}

}  // namespace

nlohmann::json to_json(const PruneCost& c) {
  return {{"mean_kl", c.kl},
          {"mean_kl_standard_error", c.kl_error},
          {"same_top", c.same_top},
          {"perplexity", c.perplexity}};
}

Result<std::unique_ptr<PrunedModel>> PrunedModel::open(const PruneOptions& options,
                                                       const Progress& progress) {
  EDGELLM_RETURN_IF_ERROR(check_output(options.output, files_of(options.calibrate)));
  std::unique_ptr<PrunedModel> pruned(new PrunedModel);
  pruned->n_threads_ = options.n_threads;
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(options.model));
  pruned->source_ = std::make_shared<GgufFile>(std::move(file));
  if (!options.output.empty())
    EDGELLM_RETURN_IF_ERROR(check_is_no_input(options.output, pruned->source_->paths()));
  EDGELLM_ASSIGN_OR_RETURN(pruned->hyperparameters_, read_hyperparameters(pruned->source_->metadata()));
  EDGELLM_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::from_metadata(pruned->source_->metadata()));
  pruned->tokenizer_ = std::make_unique<Tokenizer>(std::move(tokenizer));
  EDGELLM_RETURN_IF_ERROR(pruned->read_text(options, progress));
  EDGELLM_ASSIGN_OR_RETURN(pruned->model_, pruned->load(pruned->source_));
  EDGELLM_RETURN_IF_ERROR(pruned->record_reference(progress));
  return pruned;
}

PrunedModel::~PrunedModel() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Result<std::unique_ptr<RuntimeLanguageModel>> PrunedModel::load(std::shared_ptr<const GgufFile> file) const {
  RuntimeModelOptions o;
  o.n_context = o.n_batch = kWindowTokens;
  o.n_threads = n_threads_;
  o.n_logit_rows = 64;
  return RuntimeLanguageModel::load(std::move(file), o);
}

Status PrunedModel::read_text(const PruneOptions& options, const Progress& progress) {
  if (!options.calibrate.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(text_, read_calibration_text(options.calibrate, *source_, *tokenizer_,
                                                          kWindowTokens, kFewestWindows));
  }
  EDGELLM_ASSIGN_OR_RETURN(folder_, make_folder(options.output));
  if (options.calibrate.empty()) {
    DrawnText wanted = {kDrawnWindows, kWindowTokens, kFewestWindows, folder_ / "drawn.jsonl", n_threads_};
    EDGELLM_ASSIGN_OR_RETURN(text_, draw_calibration_text(source_, *tokenizer_, wanted, progress));
  }
  // Statistics and search may share theirs; those judged on are kept apart.
  parts_ = text_parts(text_, kJudgedWindows, kJudgedWindows, kFirstScoredRow);
  const size_t n = text_.windows.size(), n_judged = parts_.n_verify;
  calibration_.assign(text_.windows.begin() + ptrdiff_t(n_judged),
                      text_.windows.begin() + ptrdiff_t(std::min(n, n_judged + kMostCalibration)));
  return {};
}

Status PrunedModel::record_reference(const Progress& progress) {
  const std::string key = "original";
  for (auto [name, text, logits] : {std::tuple{"search", &parts_.search, &search_reference_},
                                    std::tuple{"verify", &parts_.verify, &verify_reference_}}) {
    std::filesystem::path path = folder_ / (std::string(name) + ".reference");
    EDGELLM_ASSIGN_OR_RETURN(PerplexityResult perplexity,
                             ReferenceLogits::record(*model_, *text, key, path, progress));
    original_perplexity_ = perplexity.perplexity;
    EDGELLM_ASSIGN_OR_RETURN(ReferenceLogits opened, ReferenceLogits::open(path, *text, key));
    *logits = std::make_unique<ReferenceLogits>(std::move(opened));
  }
  return {};
}

Result<PruneCost> PrunedModel::judge(RuntimeLanguageModel& model, const Progress& progress) {
  EDGELLM_ASSIGN_OR_RETURN(DivergenceResult d,
                           measure_divergence(model, parts_.verify, *verify_reference_, progress));
  return PruneCost{d.mean_kl, d.standard_error, d.same_top, d.perplexity.perplexity};
}

Result<PruneCost> PrunedModel::judge_file(const std::filesystem::path& path, const Progress& progress) {
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
  EDGELLM_ASSIGN_OR_RETURN(auto model, load(std::make_shared<GgufFile>(std::move(file))));
  return judge(*model, progress);
}

nlohmann::json PrunedModel::begin_report(const PruneOptions& options, const PruneCost& cost) const {
  nlohmann::json j;
  j["schema"] = 1;
  j["command"] = "prune";
  j["model"] = options.model.string();
  j["output"] = options.dry_run ? "" : options.output.string();
  j["method"] = to_string(options.method);
  j["fraction"] = options.fraction;
  j["calibration"] = to_json(text_);
  j["calibration"].update(
      {{"drawn_from_model", options.calibrate.empty()}, {"verify_windows", parts_.verify.windows.size()}});
  j["before"] = {{"file_bytes", source_->n_file_bytes()}, {"perplexity", original_perplexity_}};
  j["after"] = to_json(cost);
  return j;
}

}  // namespace edgellm
