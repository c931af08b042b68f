// A model that is being pruned, the text it is calibrated and judged on, and the original's own predictions
// for it: what all pruning methods begin with and end with.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "core/arch/architecture.h"
#include "core/text/tokenizer.h"
#include "evaluate/divergence.h"
#include "recipes/calibration_text.h"
#include "recipes/prune.h"
#include "runtime/decode/runtime_language_model.h"

namespace edgellm {

// How far a pruned model is from the original, on text nothing was chosen by.
struct PruneCost {
  double kl = 0, kl_error = 0, same_top = 1, perplexity = 0;
};
nlohmann::json to_json(const PruneCost& cost);

class PrunedModel {
 public:
  // Checks the output, reads or draws the text, and records the original's predictions for it in a folder
  // that goes with the object.
  static Result<std::unique_ptr<PrunedModel>> open(const PruneOptions& options, const Progress& progress);
  ~PrunedModel();

  const std::shared_ptr<GgufFile>& source() const { return source_; }
  // For what is made on the way; goes with the object.
  const std::filesystem::path& folder() const { return folder_; }
  const Hyperparameters& hyperparameters() const { return hyperparameters_; }
  RuntimeLanguageModel& model() { return *model_; }
  // Text for statistics, for choosing (little_text is its beginning), all of it kept from judge()'s.
  const std::vector<std::vector<Token>>& calibration_windows() const { return calibration_; }
  const TextWindows& search_text() const { return parts_.search; }
  const TextWindows& little_text() const { return parts_.little; }
  const ReferenceLogits& search_reference() const { return *search_reference_; }

  // The model as it computes now, and one that was written.
  Result<PruneCost> judge(RuntimeLanguageModel& model, const Progress& progress);
  Result<PruneCost> judge_file(const std::filesystem::path& path, const Progress& progress);
  double original_perplexity() const { return original_perplexity_; }
  // Model, method, fraction, text and the cost: the beginning of every report.
  nlohmann::json begin_report(const PruneOptions& options, const PruneCost& cost) const;

 private:
  PrunedModel() = default;
  Status read_text(const PruneOptions& options, const Progress& progress);
  Status record_reference(const Progress& progress);
  Result<std::unique_ptr<RuntimeLanguageModel>> load(std::shared_ptr<const GgufFile> file) const;

  std::filesystem::path folder_;
  size_t n_threads_ = 0;
  std::shared_ptr<GgufFile> source_;
  Hyperparameters hyperparameters_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<RuntimeLanguageModel> model_;
  CalibrationText text_;
  std::vector<std::vector<Token>> calibration_;
  TextParts parts_;
  std::unique_ptr<ReferenceLogits> search_reference_, verify_reference_;
  double original_perplexity_ = 0;
};

}  // namespace edgellm
