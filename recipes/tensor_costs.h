// The predicted harm of every type for every tensor: the KL measured when one tensor alone is put into one
// type, scaled by the ratio of importance-weighted errors for the other types.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "plan/allocation.h"
#include "recipes/measured_model.h"

namespace edgellm {

struct TensorCandidates {
  const GgufTensor* tensor = nullptr;
  TensorRole role = TensorRole::token_embedding;
  int32_t layer = -1;                   // -1: outside the layers
  std::vector<TensorType> types;        // finest last
  std::vector<double> relative_error;   // of each type: weighted squared error / weighted sum of squares
  TensorType probe = TensorType::Q4_0;  // the type whose KL is measured
  double probe_kl = 0;
};

// Whether the codebook types are among the candidates: they have less error at their bytes and steps between
// the others, and take longer to encode and to compute with.
enum class Codebooks { none, all };

// Every tensor that can be quantized, with all types that its rows fit and that are smaller than what it has;
// the type it has is the last. The probe is the coarsest that has a code a value, where there is one besides
// the type it has.
Result<std::vector<TensorCandidates>> list_candidates(const GgufFile& source, Codebooks codebooks);

// Names the tensors and their types: what was found with other candidates means something else.
std::string types_key(const std::vector<TensorCandidates>& candidates);

// Fills relative_error from about `n_sample_rows` rows of every tensor, fewer of long ones. What `cache`
// holds is not measured again, what is measured is put there.
Status measure_errors(const GgufFile& source, const ImportanceMatrix& importance, size_t n_sample_rows,
                      const std::filesystem::path& cache, ThreadPool& threads, const Progress& progress,
                      std::vector<TensorCandidates>& candidates);

// The plan that stands for the original where its exact values are not needed: F16, BF16 and F32 matrices as
// Q8_0, which computes two to three times as fast and is itself within a thousandth of a nat.
QuantizationPlan stand_in_plan(const std::vector<TensorCandidates>& candidates);

// Fills probe_kl from the windows of `text`, which are those of `reference` or their first parts: the KL when
// one tensor of the stand-in is put into its probe, less the KL of the stand-in. Each result is appended to
// `log` and not measured again by a resumed run.
Status measure_sensitivity(MeasuredModel& model, const TextWindows& text, const ReferenceLogits& reference,
                           const std::filesystem::path& log, const Progress& progress,
                           std::vector<TensorCandidates>& candidates);

// Items for allocate(), in the order of the candidates.
std::vector<AllocationItem> allocation_items(const std::vector<TensorCandidates>& candidates);

}  // namespace edgellm
