#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compress/prune/ffn_width.h"
#include "recipes/compress/prune_steps.h"
#include "recipes/layer_stream.h"

namespace edgellm {
namespace {

class ChannelPruning {
 public:
  explicit ChannelPruning(const PruneStep& step)
      : step_(step), source_(*step.pruned.source()), h_(step.pruned.hyperparameters()) {}

  Status run() {
    EDGELLM_RETURN_IF_ERROR(choose_width());
    EDGELLM_ASSIGN_OR_RETURN(LayerStream stream,
                             LayerStream::start(step_.pruned.model(), step_.pruned.calibration_windows()));
    ProgressMeter meter(step_.progress, "pruning channels", double(h_.n_layers));
    for (uint32_t layer = 0; layer < h_.n_layers; ++layer) {
      EDGELLM_RETURN_IF_ERROR(narrow(stream, layer));
      meter.add(1);
    }
    meter.finish();
    stream.end();
    step_.edit.n_feed_forward.assign(h_.n_layers, uint32_t(n_kept_));
    step_.report["ffn_width"] = n_kept_;
    step_.report["ffn_width_before"] = h_.n_feed_forward[0];
    return {};
  }

 private:
  Status choose_width() {
    if (std::any_of(h_.n_feed_forward.begin(), h_.n_feed_forward.end(),
                    [&](uint32_t n) { return n != h_.n_feed_forward[0]; }))
      return Error{"ffn-width: the model's feed-forward parts have different widths already"};
    // Blocks of 256 stay possible where they are.
    int64_t multiple = h_.n_feed_forward[0] % 256 ? 32 : 256;
    EDGELLM_ASSIGN_OR_RETURN(n_kept_,
                             pruned_ffn_width(h_.n_feed_forward[0], step_.options.fraction, multiple));
    return {};
  }

  Status narrow(LayerStream& stream, uint32_t layer) {
    const GgufTensor* down = find_tensor(source_, h_, TensorRole::ffn_down, layer);
    at::Tensor moments;
    EDGELLM_RETURN_IF_ERROR(
        stream.observe(layer, [&](TensorRole role, const float* x, size_t n_tokens, size_t n_columns) {
          if (role != TensorRole::ffn_down) return;
          at::Tensor inputs = as_tensor(x, n_tokens, n_columns), sums = inputs.t().mm(inputs);
          moments = moments.defined() ? moments + sums : sums;
        }));
    if (!down || !moments.defined())
      return Error{fmt::format("ffn-width: layer {} has no feed-forward part", layer)};
    at::Tensor weights = decoded(*down);
    at::Tensor kept = kept_ffn_channels(ffn_channel_scores(weights, moments.diagonal()), n_kept_);
    auto narrowed = narrowed_down(weights, kept, moments);
    if (!narrowed.ok()) return Error{fmt::format("tensor {}: {}", down->name, narrowed.error().message)};
    EDGELLM_ASSIGN_OR_RETURN(
        step_.edit.tensors[down->name],
        step_.store.encode(down->name, values_of(narrowed->contiguous()), size_t(n_kept_), down->type));
    for (TensorRole role :
         {TensorRole::ffn_gate, TensorRole::ffn_up, TensorRole::ffn_gate_bias, TensorRole::ffn_up_bias})
      EDGELLM_RETURN_IF_ERROR(keep_channels(role, layer, kept));
    return go_on(stream, layer, *down, weights, kept, *narrowed);
  }

  // Rows of a matrix, values of a bias.
  Status keep_channels(TensorRole role, uint32_t layer, const at::Tensor& kept) {
    const GgufTensor* tensor = find_tensor(source_, h_, role, layer);
    if (!tensor) return {};
    size_t n_bytes = tensor->data.size() / h_.n_feed_forward[layer];  // of a channel
    std::vector<std::byte> bytes;
    for (int64_t i = 0; i < n_kept_; ++i) {
      auto channel = tensor->data.subspan(size_t(kept[i].item<int64_t>()) * n_bytes, n_bytes);
      bytes.insert(bytes.end(), channel.begin(), channel.end());
    }
    std::vector<uint64_t> dimensions = tensor->dimensions;
    dimensions.back() = uint64_t(n_kept_);
    EDGELLM_ASSIGN_OR_RETURN(step_.edit.tensors[tensor->name],
                             step_.store.keep(tensor->name, bytes, tensor->type, dimensions));
    source_.give_back(*tensor);
    return {};
  }

  // The windows pass the layer with channels that are gone weighing nothing, which computes the same.
  Status go_on(LayerStream& stream, uint32_t layer, const GgufTensor& down, at::Tensor& weights,
               const at::Tensor& kept, const at::Tensor& narrowed) {
    weights.zero_().index_copy_(1, kept, narrowed);
    Decoder& decoder = step_.pruned.model().decoder();
    EDGELLM_RETURN_IF_ERROR(
        decoder.replace_weight(down.name, TensorType::F32, std::as_bytes(values_of(weights))));
    EDGELLM_RETURN_IF_ERROR(stream.advance(layer));
    return decoder.restore_weight(down.name);
  }

  const PruneStep& step_;
  const GgufFile& source_;
  const Hyperparameters& h_;
  int64_t n_kept_ = 0;
};

}  // namespace

Status prune_ffn_channels(const PruneStep& step) {
  return ChannelPruning(step).run();
}

}  // namespace edgellm
