// Calibration windows on their way through a model, one layer at a time: every layer can be looked at,
// changed, and run again before the windows go on to the next.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/decode/runtime_language_model.h"

namespace edgellm {

class LayerStream {
 public:
  // x: [n_tokens, n_columns], the input of the matrix product of `role`; products that share an input are
  // told one after another. Valid during the call.
  using OnInput = std::function<void(TensorRole role, const float* x, size_t n_tokens, size_t n_columns)>;

  // The hidden states that enter layer 0. The model must outlive the stream and hold a window of tokens in
  // one batch; while the stream is there, its layers are left out and put back at will.
  static Result<LayerStream> start(RuntimeLanguageModel& model, std::span<const std::vector<Token>> windows);

  // Runs `layer` as it computes now on all windows and tells the inputs of its products.
  Status observe(uint32_t layer, const OnInput& on_input);
  // Runs it once more; from now on the states are those that leave it.
  Status advance(uint32_t layer);
  // [n_tokens, n_embedding] of each window.
  const std::vector<std::vector<float>>& hidden() const { return hidden_; }
  // Puts all layers back.
  void end();

 private:
  explicit LayerStream(RuntimeLanguageModel& model) : model_(&model) {}
  Status run(uint32_t layer, size_t window);
  RuntimeLanguageModel* model_;
  std::vector<std::vector<float>> hidden_;
};

}  // namespace edgellm
