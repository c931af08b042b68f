#include "core/arch/tensor_table.h"

#include <fmt/format.h>
#include <unordered_set>

namespace edgellm {
namespace {

Status check_shape(const Hyperparameters& h, const TensorShape& tensor) {
  ParsedTensorName parsed = parse_tensor_name(*h.architecture, tensor.name);
  if (!parsed.rule)
    return Error{fmt::format("load model: tensor '{}' is not one of the {} architecture", tensor.name,
                             h.architecture->name)};
  if (parsed.layer >= int64_t(h.n_layers))
    return Error{fmt::format("load model: tensor '{}' belongs to layer {} of a model with {} layers",
                             tensor.name, parsed.layer, h.n_layers)};
  uint32_t layer = parsed.layer < 0 ? 0 : uint32_t(parsed.layer);
  std::vector<uint64_t> wanted = tensor_dimensions(h, parsed.rule->role, layer);
  uint64_t n_rows = wanted.size() > 1 ? wanted[1] : 1;
  if (tensor.n_rows != n_rows || tensor.n_columns != wanted[0])
    return Error{fmt::format("load model: tensor '{}': wanted {} rows of {} values, got {} of {}",
                             tensor.name, n_rows, wanted[0], tensor.n_rows, tensor.n_columns)};
  return {};
}

bool may_lack(const Hyperparameters& h, const TensorRule& rule, uint32_t layer) {
  if (!rule.required) return true;
  for (uint64_t dimension : tensor_dimensions(h, rule.role, layer))
    if (dimension == 0) return true;
  bool of_attention = rule.role == TensorRole::attention_norm || rule.role == TensorRole::attention_post_norm;
  bool of_ffn = rule.role == TensorRole::ffn_norm || rule.role == TensorRole::ffn_post_norm;
  return (of_attention && h.n_heads[layer] == 0) || (of_ffn && h.n_feed_forward[layer] == 0);
}

}  // namespace

Status check_hyperparameters(const Hyperparameters& h) {
  auto wrong = [](std::string what) { return Error{"load model: " + std::move(what)}; };
  if (!h.architecture) return wrong("no architecture");
  if (h.architecture->norm != NormKind::rms)
    return wrong(fmt::format("no graph has the layer norm that {} needs", h.architecture->name));
  if (!h.n_layers || !h.n_embedding || !h.n_vocabulary || !h.head_width_k || !h.head_width_v)
    return wrong(fmt::format(
        "wanted layers, widths and vocabulary above 0, got {} layers, embedding {}, heads {} and {}, "
        "vocabulary {}",
        h.n_layers, h.n_embedding, h.head_width_k, h.head_width_v, h.n_vocabulary));
  if (h.n_heads.size() != h.n_layers || h.n_kv_heads.size() != h.n_layers ||
      h.n_feed_forward.size() != h.n_layers)
    return wrong(fmt::format("wanted head counts and feed-forward widths for {} layers, got {}, {} and {}",
                             h.n_layers, h.n_heads.size(), h.n_kv_heads.size(), h.n_feed_forward.size()));
  if (h.n_rotated % 2 != 0 || h.n_rotated > h.head_width_k)
    return wrong(fmt::format("rope turns {} values of heads of {}", h.n_rotated, h.head_width_k));
  for (uint32_t i = 0; i < h.n_layers; ++i)
    if (h.n_heads[i] && (!h.n_kv_heads[i] || h.n_heads[i] % h.n_kv_heads[i] != 0))
      return wrong(fmt::format("layer {} has {} heads, no multiple of its {} key-value heads", i,
                               h.n_heads[i], h.n_kv_heads[i]));
  return {};
}

Status check_tensor_table(const Hyperparameters& h, std::span<const TensorShape> tensors) {
  std::unordered_set<std::string_view> there;
  for (const TensorShape& tensor : tensors) there.insert(tensor.name);
  for (const TensorRule& rule : h.architecture->tensors) {
    bool per_layer = rule.gguf_name.find("{}") != std::string_view::npos;
    for (uint32_t layer = 0; layer < (per_layer ? h.n_layers : 1); ++layer) {
      std::string name = tensor_name(rule.gguf_name, layer);
      bool optional = per_layer ? may_lack(h, rule, layer) : !rule.required;
      if (!optional && !there.contains(name))
        return Error{fmt::format("load model: tensor '{}' is missing", name)};
    }
  }
  for (const TensorShape& tensor : tensors) EDGELLM_RETURN_IF_ERROR(check_shape(h, tensor));
  return {};
}

}  // namespace edgellm
