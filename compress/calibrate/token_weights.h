// How much a model's expectations feel an error in what a matrix product gives, token by token.
//
// The divergence of next-token distributions is to second order the quadratic form of their Fisher
// information, the mean of g g^T over gradients g of log p(y) for tokens y drawn from the model itself (YAQA,
// arXiv 2505.22988, draws them so). Of a product's output, the mean of g^2 over its channels tells of each
// token how much its error counts (GuidedQuant, arXiv 2505.07004, with one group of channels). Tokens are
// weighed by its root: by the mean square itself a few hundred of 16,000 tokens weigh as much as all others,
// and second moments of so few tell little (docs/methods.md has what was measured).
#pragma once

#include <ATen/ATen.h>
#include <filesystem>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "compress/torch_model/torch_model.h"
#include "core/base/progress.h"
#include "core/language_model.h"

namespace edgellm {

class TokenWeights {
 public:
  // [n_windows, n_tokens], of mean 1; undefined where the layer has no such product. Values and keys have the
  // weights of what attention gives, gate and up one for both.
  at::Tensor of(uint32_t layer, TensorRole role) const;

  // squares: [n_windows, n_tokens], mean squared gradients. Role: attention_q, attention_v (of what attention
  // gives), attention_output, ffn_gate, ffn_up, ffn_down.
  void put(uint32_t layer, TensorRole role, at::Tensor squares);

 private:
  std::map<std::pair<uint32_t, TensorRole>, at::Tensor> squares_;
};

// Of the model as it is; windows as calibrate() takes them. The same numbers every time. Takes a way forward,
// one more to compute each layer again, and one back; beside a layer and the head in float it holds the
// states between all layers, of up to 16 windows at a time (half a gigabyte where one window does not take
// more). `checkpoint` keeps what is finished, and the same call goes on from it; empty: nothing is kept.
// Error: "interrupted", what model or disk report, a gradient that is no number.
Result<TokenWeights> measure_token_weights(const TorchModel& model,
                                           std::span<const std::vector<Token>> windows,
                                           const std::filesystem::path& checkpoint, const Progress& progress);

}  // namespace edgellm
