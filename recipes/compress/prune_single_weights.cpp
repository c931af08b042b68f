#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "compress/prune/sparsegpt.h"
#include "compress/prune/wanda.h"
#include "core/blocks/exact_zero.h"
#include "recipes/compress/prune_steps.h"
#include "recipes/layer_stream.h"
#include "recipes/pruned_weights.h"
#include "recipes/tensor_encoding.h"

namespace edgellm {
namespace {

// The one of the matrices before it whose input a matrix shares, or itself.
TensorRole input_of(TensorRole role) {
  switch (role) {
    case TensorRole::attention_k:
    case TensorRole::attention_v:
      return TensorRole::attention_q;
    case TensorRole::ffn_up:
      return TensorRole::ffn_gate;
    default:
      return role;
  }
}

bool is_input(TensorRole role) {
  return is_pruned_by_weight(role) && input_of(role) == role;
}

class WeightPruning {
 public:
  explicit WeightPruning(const PruneStep& step)
      : step_(step),
        source_(*step.pruned.source()),
        pattern_{step.options.fraction, int64_t(step.options.n_kept), int64_t(step.options.n_group)} {}

  Status run() {
    EDGELLM_RETURN_IF_ERROR(check_types());
    uint32_t n_layers = step_.pruned.hyperparameters().n_layers;
    bool needs_inputs = step_.options.method != PruneMethod::magnitude;
    std::optional<LayerStream> stream;
    if (needs_inputs) {
      EDGELLM_ASSIGN_OR_RETURN(stream,
                               LayerStream::start(step_.pruned.model(), step_.pruned.calibration_windows()));
    }
    ProgressMeter meter(step_.progress, "pruning weights", double(n_layers));
    for (uint32_t layer = 0; layer < n_layers; ++layer) {
      if (needs_inputs) EDGELLM_RETURN_IF_ERROR(observe(*stream, layer));
      for (TensorRole role : roles_pruned_by_weight()) EDGELLM_RETURN_IF_ERROR(prune(role, layer));
      // Later layers are pruned for the inputs that the pruned ones before them give.
      if (needs_inputs) EDGELLM_RETURN_IF_ERROR(stream->advance(layer));
      meter.add(1);
    }
    meter.finish();
    if (needs_inputs) stream->end();
    step_.edit.n_pruned_weights = n_pruned_;
    step_.report["pruned_weights"] = n_pruned_;
    step_.report["weights"] = n_weights_;
    if (pattern_.is_grouped())
      step_.report["pattern"] = fmt::format("{}:{}", pattern_.n_kept, pattern_.n_group);
    return {};
  }

 private:
  Status check_types() const {
    const Hyperparameters& h = step_.pruned.hyperparameters();
    for (uint32_t layer = 0; layer < h.n_layers; ++layer)
      for (TensorRole role : roles_pruned_by_weight()) {
        const GgufTensor* tensor = find_tensor(source_, h, role, layer);
        if (!tensor || (holds_exact_zero(tensor->type) && info(tensor->type).encode)) continue;
        return Error{
            fmt::format("prune: tensor {} has type {}, which cannot hold weights of exactly zero; "
                        "start from an F16 model",
                        tensor->name, to_string(tensor->type))};
      }
    return {};
  }

  Status observe(LayerStream& stream, uint32_t layer) {
    bool whole = step_.options.method == PruneMethod::sparsegpt;
    moments_.clear();
    return stream.observe(layer, [&](TensorRole role, const float* x, size_t n_tokens, size_t n_columns) {
      if (!is_input(role)) return;
      at::Tensor inputs = as_tensor(x, n_tokens, n_columns);
      at::Tensor sums = whole ? inputs.t().mm(inputs) : inputs.square().sum(0);
      auto [place, is_new] = moments_.try_emplace(role, sums);
      if (!is_new) place->second += sums;
    });
  }

  Result<at::Tensor> pruned_values(const at::Tensor& weights, TensorRole input) const {
    if (step_.options.method == PruneMethod::magnitude) {
      EDGELLM_ASSIGN_OR_RETURN(SparsityMask mask, prune_magnitude(weights, pattern_));
      return mask.apply(weights);
    }
    auto moments = moments_.find(input);
    if (moments == moments_.end()) return Error{"no calibration inputs"};
    if (step_.options.method == PruneMethod::wanda) {
      EDGELLM_ASSIGN_OR_RETURN(SparsityMask mask, prune_wanda(weights, moments->second, pattern_));
      return mask.apply(weights);
    }
    EDGELLM_ASSIGN_OR_RETURN(SparseGptResult result,
                             prune_sparsegpt(weights, moments->second, {.pattern = pattern_}));
    return result.weights;
  }

  Status prune(TensorRole role, uint32_t layer) {
    const GgufTensor* tensor = find_tensor(source_, step_.pruned.hyperparameters(), role, layer);
    if (!tensor) return {};
    auto pruned = pruned_values(decoded(*tensor), input_of(role));
    if (!pruned.ok()) return Error{fmt::format("tensor {}: {}", tensor->name, pruned.error().message)};
    EDGELLM_ASSIGN_OR_RETURN(
        EditedTensor edited,
        step_.store.encode(tensor->name, values_of(pruned->contiguous()), tensor->n_columns(), tensor->type));
    GgufTensor stored = *tensor;
    stored.data = edited.data;
    SparsityMask mask = SparsityMask::of_nonzero(*pruned);
    EDGELLM_RETURN_IF_ERROR(mask.check(decoded(stored), tensor->name));
    EDGELLM_RETURN_IF_ERROR(
        step_.pruned.model().decoder().replace_weight(tensor->name, edited.type, edited.data));
    n_pruned_ += uint64_t(mask.n_pruned());
    n_weights_ += tensor->n_values();
    step_.edit.tensors[tensor->name] = std::move(edited);
    source_.give_back(*tensor);
    return {};
  }

  const PruneStep& step_;
  const GgufFile& source_;
  SparsityPattern pattern_;
  std::map<TensorRole, at::Tensor> moments_;  // of the layer's inputs: sums of x x^T, or of x^2
  uint64_t n_pruned_ = 0, n_weights_ = 0;
};

}  // namespace

Status prune_single_weights(const PruneStep& step) {
  return WeightPruning(step).run();
}

}  // namespace edgellm
