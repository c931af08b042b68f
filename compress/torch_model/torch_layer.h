// One block of a decoder as tensors that LibTorch can differentiate: the same computation as
// runtime/graph/decoder.h, from the same arch data.
//
//   a = hidden + post_norm(W_o attention(rope(q_norm(W_q x + b_q)), rope(k_norm(W_k x + b_k)), W_v x + b_v) +
//   b_o),
//       x = attention_norm(hidden)
//   result = a + post_norm(W_down (activation(W_gate y + b_gate) * (W_up y + b_up)) + b_down),  y =
//   ffn_norm(a)
//
// Norms, rotations, softmax and the sums run in float, matrix products in the type of TorchCompute. Nothing
// here knows of a whole model: a layer is loaded, used, moved and dropped alone.
#pragma once

#include <ATen/ATen.h>
#include <array>
#include <functional>
#include <vector>

#include "compress/torch_model/torch_device.h"
#include "compress/torch_model/torch_positions.h"
#include "core/arch/architecture.h"
#include "core/model_file/gguf.h"

namespace edgellm {

// x: [n_tokens of all sequences, n_columns], float: the input of the product of `role` and of those that
// share it (product_input_role gives `role` for them).
using ProductObserver = std::function<void(TensorRole role, const at::Tensor& x)>;

// Query, key and value products have one input, gate and up another; it is told under the first one's role.
TensorRole product_input_role(TensorRole matrix);
// Of what is added to the product of one of layer_matrix_roles().
TensorRole product_bias_role(TensorRole matrix);
// The roles an observer is told, in order: attention_q, attention_output, ffn_gate, ffn_down.
std::span<const TensorRole> product_input_roles();
// The weight matrices of a layer in the order they are used.
std::span<const TensorRole> layer_matrix_roles();

// What attention makes of the inputs x of its products: of each query the weights of one head, that of token
// i of head i mod n_heads, which is a fair sample of all.
struct AttentionSample {
  // Mixed as the query's head mixes values: [n_sequences, n_tokens, n_embedding].
  at::Tensor mixed;
  // Of each token the sum of the weights it gets from the queries: [n_sequences, n_tokens].
  at::Tensor received;
};

class TorchLayer {
 public:
  // Matrices in compute's type, norms and biases in float. The file's tensors have been checked
  // (TorchModel::open).
  static Result<TorchLayer> load(const GgufFile& file, const Hyperparameters& hyperparameters, uint32_t layer,
                                 const TorchCompute& compute);
  // Norms and biases alone, for who has other matrices to set.
  static Result<TorchLayer> load_vectors(const GgufFile& file, const Hyperparameters& hyperparameters,
                                         uint32_t layer, const TorchCompute& compute);

  uint32_t number() const { return number_; }
  // Undefined where the layer has none. Matrices are [n_rows, n_columns], others [n_values].
  const at::Tensor& parameter(TensorRole role) const { return parameters_[size_t(role)]; }
  // Any tensor of the same shape: of another type or device it is converted in each forward; one that
  // requires a gradient, or is computed from such, gets one. A bias may also be one for every token,
  // [n_sequences, n_tokens, n_values], where only these sequences are computed.
  void set_parameter(TensorRole role, at::Tensor value) { parameters_[size_t(role)] = std::move(value); }
  std::vector<TensorRole> roles() const;  // of the parameters it has

  // A dropped half passes the residual through.
  void set_attention_dropped(bool dropped) { attention_dropped_ = dropped; }
  void set_ffn_dropped(bool dropped) { ffn_dropped_ = dropped; }

  bool has_attention() const { return n_heads_ > 0 && !attention_dropped_; }
  bool has_ffn() const { return n_feed_forward_ > 0 && !ffn_dropped_; }

  // hidden: [n_sequences, n_tokens, n_embedding] of positions.n_tokens() tokens, any floating type; the
  // result has the same shape and is float. Throws what LibTorch throws (torch_call.h).
  at::Tensor forward(const at::Tensor& hidden, const TorchPositions& positions,
                     const ProductObserver& observe = {}) const;

  // Its steps, for who needs the values between. The two halves are hidden plus a branch each:
  //   a = hidden + attention_branch(attended(attention_input(hidden)))
  //   result = a + ffn_branch(gated(ffn_input(a)))
  at::Tensor attention_input(const at::Tensor& hidden) const;
  at::Tensor attended(const at::Tensor& x, const TorchPositions& positions) const;
  // x: the attention's input, [n_sequences, n_tokens, n_embedding]. query_weights: [n_sequences, n_tokens],
  // by which `received` counts each query; undefined: all alike.
  AttentionSample sample_attention(const at::Tensor& x, const TorchPositions& positions,
                                   const at::Tensor& query_weights = {}) const;
  at::Tensor attention_branch(const at::Tensor& attended) const;
  at::Tensor ffn_input(const at::Tensor& hidden) const;
  at::Tensor gated(const at::Tensor& y) const;
  at::Tensor ffn_branch(const at::Tensor& gated) const;

 private:
  static Result<TorchLayer> load_some(const GgufFile& file, const Hyperparameters& hyperparameters,
                                      uint32_t layer, const TorchCompute& compute, bool with_matrices);
  at::Tensor product(TensorRole matrix, const at::Tensor& x) const;
  at::Tensor heads(const at::Tensor& x, int64_t n_heads, TensorRole norm,
                   const TorchPositions& positions) const;
  at::Tensor attention_weights(const at::Tensor& x, const TorchPositions& positions) const;

  static constexpr size_t kRoles = size_t(TensorRole::ffn_post_norm) + 1;
  std::array<at::Tensor, kRoles> parameters_;
  uint32_t number_ = 0;
  TorchCompute compute_;
  int64_t n_heads_ = 0, n_kv_heads_ = 0, n_feed_forward_ = 0, head_width_k_ = 0, head_width_v_ = 0;
  bool sliding_ = false, attention_dropped_ = false, ffn_dropped_ = false;
  RopeKind rope_ = RopeKind::none;
  Activation activation_ = Activation::silu;
  double norm_epsilon_ = 0, attention_scale_ = 0, attention_soft_cap_ = 0;
};

// x / sqrt(mean(x^2) + epsilon) * weight, over the last dimension, in float.
at::Tensor torch_rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon);

}  // namespace edgellm
