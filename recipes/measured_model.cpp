#include "recipes/measured_model.h"

namespace edgellm {

Status MeasuredModel::encode(const QuantizationPlan& plan, const Progress& progress) {
  std::vector<std::pair<const GgufTensor*, TensorType>> missing;
  double n_weights = 0;
  for (const GgufTensor& tensor : source_.tensors()) {
    auto planned = plan.types.find(tensor.name);
    if (planned == plan.types.end() || store_.has(tensor, planned->second)) continue;
    missing.emplace_back(&tensor, planned->second);
    n_weights += double(tensor.n_values());
  }
  if (missing.empty()) return {};
  ProgressMeter meter(progress, "encoding weights", n_weights);
  for (const auto& [tensor, type] : missing) {
    meter.add(0, tensor->name);
    if (auto encoded = store_.get(*tensor, type); !encoded.ok()) return encoded.error();
    meter.add(double(tensor->n_values()), tensor->name);
  }
  meter.finish();
  return {};
}

Status MeasuredModel::apply(const QuantizationPlan& plan) {
  Decoder& decoder = model_.decoder();
  for (const GgufTensor& tensor : source_.tensors()) {
    auto planned = plan.types.find(tensor.name);
    if (planned == plan.types.end()) continue;
    auto now = applied_.find(tensor.name);
    TensorType current = now == applied_.end() ? tensor.type : now->second;
    if (current == planned->second) continue;
    EDGELLM_ASSIGN_OR_RETURN(auto data, store_.get(tensor, planned->second));
    EDGELLM_RETURN_IF_ERROR(decoder.replace_weight(tensor.name, planned->second, data));
    applied_[tensor.name] = planned->second;
  }
  for (uint32_t layer = 0; layer < decoder.hyperparameters().n_layers; ++layer)
    decoder.set_layer_dropped(layer, plan.dropped_layers.contains(layer));
  dropped_ = plan.dropped_layers;
  return {};
}

void MeasuredModel::restore() {
  model_.decoder().restore_weights();
  for (uint32_t layer : dropped_) model_.decoder().set_layer_dropped(layer, false);
  applied_.clear();
  dropped_.clear();
}

Result<DivergenceResult> MeasuredModel::measure(const QuantizationPlan& plan, const TextWindows& text,
                                                const ReferenceLogits& reference) {
  EDGELLM_RETURN_IF_ERROR(apply(plan));
  return measure_divergence(model_, text, reference);
}

Result<std::vector<std::vector<float>>> MeasuredModel::record_hidden(const std::vector<Token>& tokens) {
  Decoder& decoder = model_.decoder();
  const size_t width = decoder.hyperparameters().n_embedding;
  std::vector<std::vector<float>> hidden(decoder.hyperparameters().n_layers + 1);
  DecoderObservers observers;
  observers.on_hidden = [&](uint32_t layer, size_t, const float* x, size_t n_tokens) {
    hidden[layer].insert(hidden[layer].end(), x, x + n_tokens * width);
  };
  decoder.set_observers(observers);
  Status status = model_.evaluate(tokens, tokens.size(), {});
  decoder.set_observers({});
  if (!status.ok()) return status.error();
  return hidden;
}

Result<double> MeasuredModel::measure_from(int32_t layer, std::span<const float> hidden,
                                           const TextWindows& text, size_t window,
                                           const ReferenceLogits& reference) {
  const std::vector<Token>& tokens = text.windows[window];
  DivergenceMeter meter;
  std::vector<float> expected(reference.n_vocabulary());
  LogitsSink sink = [&](size_t position, std::span<const float> row) {
    if (position + 1 < tokens.size()) {
      reference.read_row(window, position - text.first_row, expected);
      meter.add(expected, row, tokens[position + 1]);
    }
    return Status{};
  };
  EDGELLM_RETURN_IF_ERROR(layer < 0 ? model_.evaluate(tokens, text.first_row, sink)
                                    : model_.evaluate_from(uint32_t(layer), hidden, text.first_row, sink));
  return meter.value().mean_kl;
}

Result<double> MeasuredModel::measure_one(const GgufTensor& tensor, TensorType type, int32_t layer,
                                          std::span<const float> hidden, const TextWindows& text,
                                          size_t window, const ReferenceLogits& reference) {
  EDGELLM_ASSIGN_OR_RETURN(auto data, store_.get(tensor, type));
  EDGELLM_RETURN_IF_ERROR(model_.decoder().replace_weight(tensor.name, type, data));
  auto measured = measure_from(layer, hidden, text, window, reference);
  EDGELLM_RETURN_IF_ERROR(put_back(tensor));
  store_.give_back(tensor, type);
  return measured;
}

Status MeasuredModel::put_back(const GgufTensor& tensor) {
  auto now = applied_.find(tensor.name);
  if (now == applied_.end()) return model_.decoder().restore_weight(tensor.name);
  EDGELLM_ASSIGN_OR_RETURN(auto data, store_.get(tensor, now->second));
  return model_.decoder().replace_weight(tensor.name, now->second, data);
}

}  // namespace edgellm
