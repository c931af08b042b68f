#include "compress/torch_model/torch_decoder.h"

#include <fmt/format.h>

#include "compress/torch_model/torch_call.h"
#include "compress/torch_model/torch_checkpoint.h"
#include "core/base/interrupt.h"

namespace edgellm {

Result<std::unique_ptr<TorchDecoder>> TorchDecoder::load(std::shared_ptr<const GgufFile> file,
                                                         const TorchCompute& compute) {
  std::unique_ptr<TorchDecoder> decoder(new TorchDecoder);
  EDGELLM_ASSIGN_OR_RETURN(decoder->model_, TorchModel::open(std::move(file), compute));
  for (uint32_t layer = 0; layer < decoder->model_->n_layers(); ++layer) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    EDGELLM_ASSIGN_OR_RETURN(TorchLayer loaded, decoder->model_->load_layer(layer));
    decoder->layers_.push_back(std::move(loaded));
  }
  EDGELLM_ASSIGN_OR_RETURN(decoder->head_, decoder->model_->load_head());
  return decoder;
}

at::Tensor TorchDecoder::forward(const at::Tensor& hidden, bool checkpoint) const {
  TorchPositions positions = model_->positions(hidden.size(1));
  at::Tensor state = hidden;
  for (const TorchLayer& layer : layers_)
    state = checkpoint ? checkpointed_forward(layer, state, positions) : layer.forward(state, positions);
  return state;
}

Status TorchDecoder::evaluate(std::span<const Token> tokens, size_t first_row, const LogitsSink& sink) {
  uint32_t n_context = model_->hyperparameters().n_context_trained;
  if (n_context && tokens.size() > n_context)
    return Error{fmt::format("evaluate: {} tokens do not fit the context of {}", tokens.size(), n_context)};
  std::vector<Token> window(tokens.begin(), tokens.end());
  EDGELLM_ASSIGN_OR_RETURN(at::Tensor hidden, model_->embed({&window, 1}));
  return torch_call("evaluate", [&]() -> Status {
    at::NoGradGuard no_grad;
    hidden = forward(hidden).squeeze(0);
    for (int64_t row = int64_t(first_row); row < hidden.size(0); row += kLogitRows) {
      EDGELLM_RETURN_IF_ERROR(check_interrupt());
      int64_t n_rows = std::min(kLogitRows, hidden.size(0) - row);
      at::Tensor logits = head_.logits(hidden.narrow(0, row, n_rows)).to(at::kCPU).contiguous();
      for (int64_t i = 0; i < n_rows; ++i)
        EDGELLM_RETURN_IF_ERROR(
            sink(size_t(row + i), {logits.data_ptr<float>() + i * logits.size(1), size_t(logits.size(1))}));
    }
    return {};
  });
}

}  // namespace edgellm
