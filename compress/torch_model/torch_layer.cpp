#include "compress/torch_model/torch_layer.h"

#include "compress/torch_model/torch_weights.h"

namespace edgellm {
namespace {

using enum TensorRole;

constexpr TensorRole kInputs[] = {attention_q, attention_output, ffn_gate, ffn_down};
constexpr TensorRole kMatrices[] = {attention_q, attention_k, attention_v, attention_output,
                                    ffn_gate,    ffn_up,      ffn_down};

bool is_matrix(TensorRole role) {
  return std::find(std::begin(kMatrices), std::end(kMatrices), role) != std::end(kMatrices);
}

// The last dimension as two.
at::Tensor split_last(const at::Tensor& x, int64_t n_outer, int64_t n_inner) {
  std::vector<int64_t> sizes = x.sizes().vec();
  sizes.back() = n_outer;
  sizes.push_back(n_inner);
  return x.reshape(sizes);
}

// x: [n_sequences, n_heads, n_tokens, width]; cosine, sine: [n_tokens, n_pairs].
at::Tensor rotated(const at::Tensor& x, RopeKind kind, const at::Tensor& cosine, const at::Tensor& sine) {
  int64_t n_pairs = cosine.size(-1), width = x.size(-1);
  at::Tensor turned = x.narrow(-1, 0, 2 * n_pairs), a, b;
  if (kind == RopeKind::interleaved) {
    at::Tensor pairs = split_last(turned, n_pairs, 2);
    a = pairs.select(-1, 0);
    b = pairs.select(-1, 1);
  } else {
    a = turned.narrow(-1, 0, n_pairs);
    b = turned.narrow(-1, n_pairs, n_pairs);
  }
  at::Tensor new_a = a * cosine - b * sine, new_b = a * sine + b * cosine;
  turned =
      kind == RopeKind::interleaved ? at::stack({new_a, new_b}, -1).flatten(-2) : at::cat({new_a, new_b}, -1);
  if (2 * n_pairs == width) return turned;
  return at::cat({turned, x.narrow(-1, 2 * n_pairs, width - 2 * n_pairs)}, -1);
}

void tell(const ProductObserver& observe, TensorRole role, const at::Tensor& x) {
  if (observe) observe(role, x.reshape({-1, x.size(-1)}));
}

}  // namespace

TensorRole product_input_role(TensorRole matrix) {
  if (matrix == attention_k || matrix == attention_v) return attention_q;
  return matrix == ffn_up ? ffn_gate : matrix;
}

TensorRole product_bias_role(TensorRole matrix) {
  switch (matrix) {
    case attention_q:
      return attention_q_bias;
    case attention_k:
      return attention_k_bias;
    case attention_v:
      return attention_v_bias;
    case attention_output:
      return attention_output_bias;
    case ffn_gate:
      return ffn_gate_bias;
    case ffn_up:
      return ffn_up_bias;
    default:
      return ffn_down_bias;
  }
}

std::span<const TensorRole> product_input_roles() {
  return kInputs;
}

std::span<const TensorRole> layer_matrix_roles() {
  return kMatrices;
}

at::Tensor torch_rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  at::Tensor scale = x.square().mean(-1, true).add(epsilon).rsqrt();
  return x * scale * weight;
}

Result<TorchLayer> TorchLayer::load(const GgufFile& file, const Hyperparameters& h, uint32_t number,
                                    const TorchCompute& compute) {
  return load_some(file, h, number, compute, true);
}

Result<TorchLayer> TorchLayer::load_vectors(const GgufFile& file, const Hyperparameters& h, uint32_t number,
                                            const TorchCompute& compute) {
  return load_some(file, h, number, compute, false);
}

Result<TorchLayer> TorchLayer::load_some(const GgufFile& file, const Hyperparameters& h, uint32_t number,
                                         const TorchCompute& compute, bool with_matrices) {
  TorchLayer layer;
  layer.number_ = number;
  layer.compute_ = compute;
  layer.n_heads_ = h.n_heads[number];
  layer.n_kv_heads_ = h.n_kv_heads[number];
  layer.n_feed_forward_ = h.n_feed_forward[number];
  layer.head_width_k_ = h.head_width_k;
  layer.head_width_v_ = h.head_width_v;
  layer.sliding_ = h.layer_is_sliding(number);
  layer.rope_ = h.architecture->rope;
  layer.activation_ = h.architecture->activation;
  layer.norm_epsilon_ = h.norm_epsilon;
  layer.attention_scale_ = h.attention_scale;
  layer.attention_soft_cap_ = h.attention_soft_cap;
  TorchCompute in_float = {compute.device, at::kFloat};
  for (const TensorRule& rule : h.architecture->tensors) {
    if (rule.gguf_name.find("{}") == std::string_view::npos) continue;
    if (is_matrix(rule.role) && !with_matrices) continue;
    const GgufTensor* tensor = file.find(tensor_name(rule.gguf_name, number));
    if (!tensor) continue;
    EDGELLM_ASSIGN_OR_RETURN(layer.parameters_[size_t(rule.role)],
                             read_weight(file, *tensor, is_matrix(rule.role) ? compute : in_float));
  }
  return layer;
}

std::vector<TensorRole> TorchLayer::roles() const {
  std::vector<TensorRole> roles;
  for (size_t i = 0; i < kRoles; ++i)
    if (parameters_[i].defined()) roles.push_back(TensorRole(i));
  return roles;
}

at::Tensor TorchLayer::product(TensorRole matrix, const at::Tensor& x) const {
  const at::ScalarType type = compute_.product_type();
  at::Tensor weight = parameter(matrix).to(compute_.device, type);
  at::Tensor y = x.to(type).matmul(weight.t()).to(at::kFloat);
  const at::Tensor& bias = parameter(product_bias_role(matrix));
  return bias.defined() ? y + bias : y;
}

// [n_sequences, n_tokens, n_heads * width] -> [n_sequences, n_heads, n_tokens, width], normed and turned.
at::Tensor TorchLayer::heads(const at::Tensor& x, int64_t n_heads, TensorRole norm,
                             const TorchPositions& positions) const {
  at::Tensor split = split_last(x, n_heads, head_width_k_);
  if (parameter(norm).defined()) split = torch_rms_norm(split, parameter(norm), norm_epsilon_);
  split = split.transpose(1, 2);
  if (rope_ == RopeKind::none) return split;
  return rotated(split, rope_, sliding_ ? positions.local_cosine : positions.cosine,
                 sliding_ ? positions.local_sine : positions.sine);
}

// How much each query looks at each token: [n_sequences * n_kv_heads, n_heads / n_kv_heads * n_tokens,
// n_tokens], in the type of products. The queries that share a key head follow one another.
at::Tensor TorchLayer::attention_weights(const at::Tensor& x, const TorchPositions& positions) const {
  at::Tensor q = heads(product(attention_q, x), n_heads_, attention_q_norm, positions);
  at::Tensor k = heads(product(attention_k, x), n_kv_heads_, attention_k_norm, positions);
  int64_t n_sequences = q.size(0), n_tokens = q.size(2), n_group = n_heads_ / n_kv_heads_;
  at::Tensor queries = (q * attention_scale_)
                           .to(compute_.type)
                           .reshape({n_sequences * n_kv_heads_, n_group * n_tokens, head_width_k_});
  at::Tensor keys = k.to(compute_.type).reshape({n_sequences * n_kv_heads_, n_tokens, head_width_k_});
  at::Tensor scores = queries.bmm(keys.transpose(1, 2)).to(at::kFloat);
  if (attention_soft_cap_ > 0) scores = (scores / attention_soft_cap_).tanh() * attention_soft_cap_;
  scores =
      scores.view({-1, n_group, n_tokens, n_tokens}) + (sliding_ ? positions.local_mask : positions.mask);
  return scores.softmax(-1).to(compute_.type).view({-1, n_group * n_tokens, n_tokens});
}

at::Tensor TorchLayer::attention_input(const at::Tensor& hidden) const {
  return torch_rms_norm(hidden.to(at::kFloat), parameter(attention_norm), norm_epsilon_);
}

// The result is [n_sequences, n_tokens, n_heads * head_width_v].
at::Tensor TorchLayer::attended(const at::Tensor& x, const TorchPositions& positions) const {
  int64_t n_sequences = x.size(0), n_tokens = x.size(1);
  at::Tensor v = split_last(product(attention_v, x), n_kv_heads_, head_width_v_);
  at::Tensor values =
      v.transpose(1, 2).to(compute_.type).reshape({n_sequences * n_kv_heads_, n_tokens, head_width_v_});
  return attention_weights(x, positions)
      .bmm(values)
      .to(at::kFloat)
      .view({n_sequences, n_heads_, n_tokens, head_width_v_})
      .transpose(1, 2)
      .flatten(-2);
}

AttentionSample TorchLayer::sample_attention(const at::Tensor& x, const TorchPositions& positions,
                                             const at::Tensor& query_weights) const {
  int64_t n_sequences = x.size(0), n_tokens = x.size(1);
  at::Tensor weights = attention_weights(x, positions).view({n_sequences, n_heads_, n_tokens, n_tokens});
  at::Tensor query = at::arange(n_tokens, at::TensorOptions().dtype(at::kLong).device(x.device()));
  // Two indices side by side pick one head for each query, and go first in the result.
  at::Tensor sampled = weights.transpose(0, 1)
                           .transpose(1, 2)
                           .index({query.remainder(n_heads_), query})
                           .transpose(0, 1)
                           .to(at::kFloat);
  at::Tensor counted = query_weights.defined() ? sampled * query_weights.unsqueeze(-1) : sampled;
  return {sampled.bmm(x), counted.sum(1)};
}

at::Tensor TorchLayer::attention_branch(const at::Tensor& attended) const {
  at::Tensor branch = product(attention_output, attended);
  const at::Tensor& norm = parameter(attention_post_norm);
  return norm.defined() ? torch_rms_norm(branch, norm, norm_epsilon_) : branch;
}

at::Tensor TorchLayer::ffn_input(const at::Tensor& hidden) const {
  return torch_rms_norm(hidden.to(at::kFloat), parameter(ffn_norm), norm_epsilon_);
}

at::Tensor TorchLayer::gated(const at::Tensor& y) const {
  at::Tensor gate = product(ffn_gate, y);
  gate = activation_ == Activation::silu ? at::silu(gate) : at::gelu(gate, "tanh");
  return gate * product(ffn_up, y);
}

at::Tensor TorchLayer::ffn_branch(const at::Tensor& gated) const {
  at::Tensor branch = product(ffn_down, gated);
  const at::Tensor& norm = parameter(ffn_post_norm);
  return norm.defined() ? torch_rms_norm(branch, norm, norm_epsilon_) : branch;
}

at::Tensor TorchLayer::forward(const at::Tensor& hidden, const TorchPositions& positions,
                               const ProductObserver& observe) const {
  at::Tensor state = hidden.to(at::kFloat);
  if (has_attention()) {
    at::Tensor x = attention_input(state);
    tell(observe, attention_q, x);
    at::Tensor mixed = attended(x, positions);
    tell(observe, attention_output, mixed);
    state = state + attention_branch(mixed);
  }
  if (has_ffn()) {
    at::Tensor y = ffn_input(state);
    tell(observe, ffn_gate, y);
    at::Tensor z = gated(y);
    tell(observe, ffn_down, z);
    state = state + ffn_branch(z);
  }
  return state;
}

}  // namespace edgellm
