// edgellm quantize --method gptq and awq: a whole model rounded so that the outputs of its layers are met.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/model_file/gguf.h"
#include "core/model_file/importance_matrix.h"
#include "recipes/quantize.h"
#include "recipes/text_source.h"

namespace edgellm {

struct CalibratedModelOptions {
  bool is_awq = false;  // scaled before rounding instead (recipes/compress/awq_tensors.h)
  std::string model;    // as the report names the source
  std::filesystem::path output;
  std::filesystem::path report;  // where the report is written too, while the work is still there; or empty
  std::vector<TextSource> calibrate;  // empty: drawn from the model
  size_t n_windows = 128;             // of calibration; fewer where the text has no more
  size_t n_window_tokens = 256;
  size_t n_layer_epochs = 0;  // of training each layer, as of CompensationOptions
  // Of training what the grid stores beside its levels (recipes/compress/trained_tensors.h).
  size_t n_training_epochs = 0;
  double damping = 0;          // of each entry of H's diagonal; 0: the method's own
  bool weigh_tokens = false;   // as of CompensationOptions
  uint64_t memory_limit = 0;   // as of CompensationOptions
  std::string device = "cpu";  // as of CompensationOptions, and of training
  // Beside which everything that a stopped run finished lies; removed in the end. Empty: OUTPUT.work.
  std::filesystem::path work;
  size_t n_threads = 0;
};

// Writes the plan's file and returns the report (docs/formats.md). importance is for tensors that are no
// product's matrix (an embedding that is not tied), and may be null. Error where LibTorch is not linked, text
// that is missing or too short, and what compensate_tensors() reports; a run that was stopped is gone on with
// by the same call.
Result<nlohmann::json> quantize_calibrated_model(std::shared_ptr<const GgufFile> source,
                                                 const QuantizationPlan& plan,
                                                 const ImportanceMatrix* importance,
                                                 const CalibratedModelOptions& options,
                                                 const Progress& progress);

}  // namespace edgellm
