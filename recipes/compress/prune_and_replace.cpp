#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compress/prune/replace_me.h"
#include "core/base/interrupt.h"
#include "plan/block_influence.h"
#include "recipes/compress/prune_steps.h"
#include "recipes/edited_model.h"

namespace edgellm {
namespace {

// 1 - mean cosine of rows.
double distance(const at::Tensor& a, const at::Tensor& b) {
  return 1 - at::cosine_similarity(a, b, 1).to(at::kDouble).mean().item<double>();
}

class Replacement {
 public:
  explicit Replacement(const PruneStep& step)
      : step_(step), source_(*step.pruned.source()), h_(step.pruned.hyperparameters()) {}

  Status run() {
    EDGELLM_ASSIGN_OR_RETURN(n_cut_, layers_of_fraction(step_.options.fraction, h_.n_layers));
    // The correction goes into a feed-forward part before the cut.
    n_cut_ = std::min(n_cut_, h_.n_layers - 1);
    for (uint32_t layer = 0; layer < n_cut_; ++layer) step_.edit.dropped_layers.insert(layer);
    EDGELLM_RETURN_IF_ERROR(edited_file_bytes(source_, step_.edit));  // refuses families that keep all layers
    if (find_tensor(source_, h_, TensorRole::ffn_post_norm, 0))
      return Error{
          fmt::format("replace-me: a norm stands behind the feed-forward part of {}, so that nothing can be "
                      "folded into it",
                      h_.architecture->name)};
    EDGELLM_RETURN_IF_ERROR(choose_cut());
    return correct();
  }

 private:
  // Calls on_window with the states that enter each layer and leave the last, and the input of ffn_down of
  // `layer`.
  Status pass(
      const char* stage, uint32_t layer,
      const std::function<void(const std::vector<at::Tensor>& states, const at::Tensor& inside)>& on_window) {
    Decoder& decoder = step_.pruned.model().decoder();
    std::vector<at::Tensor> states(h_.n_layers + 1);
    at::Tensor inside;
    DecoderObservers observers;
    observers.on_hidden = [&](uint32_t at, size_t, const float* hidden, size_t n_tokens) {
      states[at] = as_tensor(hidden, n_tokens, h_.n_embedding).clone();
    };
    observers.on_product_input = [&](TensorRole role, int32_t at, const float* x, size_t n_tokens,
                                     size_t n_columns) {
      if (role == TensorRole::ffn_down && at == int32_t(layer))
        inside = as_tensor(x, n_tokens, n_columns).clone();
    };
    decoder.set_observers(std::move(observers));
    const auto& windows = step_.pruned.calibration_windows();
    ProgressMeter meter(step_.progress, stage, double(windows.size()));
    Status status;
    for (const auto& window : windows) {
      status = step_.pruned.model().evaluate(window, window.size(), {});
      if (!status.ok()) break;
      on_window(states, inside);
      meter.add(1);
    }
    decoder.set_observers({});
    meter.finish();
    return status;
  }

  // The run of layers whose input and output point the most alike, as in the paper.
  Status choose_cut() {
    std::vector<double> distances(h_.n_layers - n_cut_ + 1, 0.0);
    EDGELLM_RETURN_IF_ERROR(
        pass("choosing the cut", 0, [&](const std::vector<at::Tensor>& states, const at::Tensor&) {
          for (uint32_t first = 1; first < distances.size(); ++first)
            distances[first] += distance(states[first], states[first + n_cut_]);
        }));
    first_ = uint32_t(std::min_element(distances.begin() + 1, distances.end()) - distances.begin());
    step_.edit.dropped_layers.clear();
    for (uint32_t layer = first_; layer < first_ + n_cut_; ++layer) step_.edit.dropped_layers.insert(layer);
    step_.report["dropped_layers"] = step_.edit.dropped_layers;
    step_.report["layers"] = h_.n_layers;
    return {};
  }

  Status correct() {
    uint32_t before = first_ - 1;
    const GgufTensor* down = find_tensor(source_, h_, TensorRole::ffn_down, before);
    if (!down) return Error{fmt::format("replace-me: layer {} has no feed-forward part", before)};
    const GgufTensor* bias = find_tensor(source_, h_, TensorRole::ffn_down_bias, before);
    at::Tensor weights = decoded(*down), offset = bias ? decoded(*bias) : at::Tensor();
    CutMoments moments(h_.n_embedding);
    EDGELLM_RETURN_IF_ERROR(pass(
        "correcting the cut", before, [&](const std::vector<at::Tensor>& states, const at::Tensor& inside) {
          at::Tensor m = inside.mm(weights.t());
          moments.add(bias ? m + offset : m, states[first_ + n_cut_] - states[first_]);
        }));
    EDGELLM_ASSIGN_OR_RETURN(CutCorrection correction, solve_cut(moments));
    step_.report["correction"] = {{"tensor", down->name}, {"left", correction.left}};
    EDGELLM_RETURN_IF_ERROR(fold(*down, fold_into_down(weights, correction.transform)));
    return bias ? fold(*bias, fold_into_down(offset.t(), correction.transform).t()) : Status();
  }

  // In the tensor's own type, or F16 where that cannot be written.
  Status fold(const GgufTensor& tensor, const at::Tensor& values) {
    TensorType type = info(tensor.type).encode ? tensor.type : TensorType::F16;
    EDGELLM_ASSIGN_OR_RETURN(
        EditedTensor edited,
        step_.store.encode(tensor.name, values_of(values.contiguous()), tensor.n_columns(), type));
    edited.dimensions = tensor.dimensions;
    step_.edit.tensors[tensor.name] = std::move(edited);
    return {};
  }

  const PruneStep& step_;
  const GgufFile& source_;
  const Hyperparameters& h_;
  uint32_t n_cut_ = 0, first_ = 1;
};

}  // namespace

Status prune_and_replace(const PruneStep& step) {
  return Replacement(step).run();
}

}  // namespace edgellm
