#include "recipes/layer_stream.h"

#include "core/base/interrupt.h"

namespace edgellm {

Result<LayerStream> LayerStream::start(RuntimeLanguageModel& model,
                                       std::span<const std::vector<Token>> windows) {
  LayerStream stream(model);
  Decoder& decoder = model.decoder();
  size_t n_embedding = decoder.hyperparameters().n_embedding;
  for (uint32_t layer = 0; layer < decoder.hyperparameters().n_layers; ++layer)
    decoder.set_layer_dropped(layer, true);
  DecoderObservers observers;
  observers.on_hidden = [&](uint32_t layer, size_t, const float* hidden, size_t n_tokens) {
    if (layer == 0) stream.hidden_.emplace_back(hidden, hidden + n_tokens * n_embedding);
  };
  decoder.set_observers(std::move(observers));
  Status status;
  for (const auto& window : windows) {
    status = model.evaluate(window, window.size(), {});
    if (!status.ok()) break;
  }
  decoder.set_observers({});
  if (!status.ok()) return status.error();
  return stream;
}

Status LayerStream::run(uint32_t layer, size_t window) {
  EDGELLM_RETURN_IF_ERROR(check_interrupt());
  size_t n_tokens = hidden_[window].size() / model_->decoder().hyperparameters().n_embedding;
  model_->decoder().set_layer_dropped(layer, false);
  Status status = model_->evaluate_from(layer, hidden_[window], n_tokens, {});
  model_->decoder().set_layer_dropped(layer, true);
  return status;
}

Status LayerStream::observe(uint32_t layer, const OnInput& on_input) {
  DecoderObservers observers;
  observers.on_product_input = [&](TensorRole role, int32_t at, const float* x, size_t n_tokens,
                                   size_t n_columns) {
    if (at == int32_t(layer)) on_input(role, x, n_tokens, n_columns);
  };
  model_->decoder().set_observers(std::move(observers));
  Status status;
  for (size_t window = 0; window < hidden_.size() && status.ok(); ++window) status = run(layer, window);
  model_->decoder().set_observers({});
  return status;
}

Status LayerStream::advance(uint32_t layer) {
  std::vector<float> next;
  DecoderObservers observers;
  observers.on_hidden = [&](uint32_t at, size_t, const float* hidden, size_t n_tokens) {
    if (at == layer + 1)
      next.assign(hidden, hidden + n_tokens * model_->decoder().hyperparameters().n_embedding);
  };
  model_->decoder().set_observers(std::move(observers));
  Status status;
  for (auto& states : hidden_) {
    status = run(layer, size_t(&states - hidden_.data()));
    if (!status.ok()) break;
    states.swap(next);
  }
  model_->decoder().set_observers({});
  return status;
}

void LayerStream::end() {
  Decoder& decoder = model_->decoder();
  for (uint32_t layer = 0; layer < decoder.hyperparameters().n_layers; ++layer)
    decoder.set_layer_dropped(layer, false);
}

}  // namespace edgellm
