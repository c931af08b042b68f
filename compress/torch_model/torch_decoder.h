// All of a model in memory as tensors, for models small enough to be trained or judged whole. Its layers'
// parameters may be replaced or trained; everything a judge asks goes through LanguageModel.
#pragma once

#include <ATen/ATen.h>
#include <memory>
#include <vector>

#include "compress/torch_model/torch_model.h"
#include "core/language_model.h"

namespace edgellm {

class TorchDecoder : public LanguageModel {
 public:
  static Result<std::unique_ptr<TorchDecoder>> load(std::shared_ptr<const GgufFile> file,
                                                    const TorchCompute& compute);

  const TorchModel& model() const { return *model_; }
  std::vector<TorchLayer>& layers() { return layers_; }
  TorchHead& head() { return head_; }

  // hidden: [n_sequences, n_tokens, n_embedding] of TorchModel::embed, to what leaves the last layer. With
  // `checkpoint`, gradients keep one hidden state a layer and compute the rest again (torch_checkpoint.h).
  at::Tensor forward(const at::Tensor& hidden, bool checkpoint = false) const;

  size_t n_vocabulary() const override { return model_->hyperparameters().n_vocabulary; }
  Status evaluate(std::span<const Token> tokens, size_t first_row, const LogitsSink& sink) override;

 private:
  std::unique_ptr<TorchModel> model_;
  std::vector<TorchLayer> layers_;
  TorchHead head_;
};

}  // namespace edgellm
