// The steps of prune_matrices(), one file a kind of method; each leaves what it changed in an edit and what
// it found in a report.
#pragma once

#include <ATen/ATen.h>
#include <nlohmann/json_fwd.hpp>

#include "recipes/edit_store.h"
#include "recipes/pruned_model.h"
#include "recipes/role_tensor.h"

namespace edgellm {

struct PruneStep {
  const PruneOptions& options;
  PrunedModel& pruned;
  EditStore& store;
  ModelEdit& edit;
  nlohmann::json& report;
  const Progress& progress;
};

Status prune_single_weights(const PruneStep& step);  // magnitude, wanda, sparsegpt
Status prune_ffn_channels(const PruneStep& step);
Status prune_and_replace(const PruneStep& step);  // replace-me

// A tensor's weights, [n_rows, n_columns], float; a vector is one row.
at::Tensor decoded(const GgufTensor& tensor);
inline std::span<const float> values_of(const at::Tensor& contiguous) {
  return {contiguous.data_ptr<float>(), size_t(contiguous.numel())};
}
// Calibration inputs as a tensor over their memory.
inline at::Tensor as_tensor(const float* x, size_t n_tokens, size_t n_columns) {
  return at::from_blob(const_cast<float*>(x), {int64_t(n_tokens), int64_t(n_columns)}, at::kFloat);
}

}  // namespace edgellm
