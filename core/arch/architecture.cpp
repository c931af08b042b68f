#include "core/arch/architecture.h"

#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/arch/families.h"

namespace edgellm {
namespace {

const Architecture* const kArchitectures[] = {&kLlama, &kDeci, &kQwen2, &kGemma3};

}  // namespace

std::string_view to_string(TensorRole role) {
  switch (role) {
    case TensorRole::token_embedding:
      return "token_embedding";
    case TensorRole::output:
      return "output";
    case TensorRole::output_norm:
      return "output_norm";
    case TensorRole::rope_factors:
      return "rope_factors";
    case TensorRole::attention_norm:
      return "attention_norm";
    case TensorRole::attention_q:
      return "attention_q";
    case TensorRole::attention_k:
      return "attention_k";
    case TensorRole::attention_v:
      return "attention_v";
    case TensorRole::attention_output:
      return "attention_output";
    case TensorRole::attention_q_bias:
      return "attention_q_bias";
    case TensorRole::attention_k_bias:
      return "attention_k_bias";
    case TensorRole::attention_v_bias:
      return "attention_v_bias";
    case TensorRole::attention_output_bias:
      return "attention_output_bias";
    case TensorRole::attention_q_norm:
      return "attention_q_norm";
    case TensorRole::attention_k_norm:
      return "attention_k_norm";
    case TensorRole::attention_post_norm:
      return "attention_post_norm";
    case TensorRole::ffn_norm:
      return "ffn_norm";
    case TensorRole::ffn_gate:
      return "ffn_gate";
    case TensorRole::ffn_up:
      return "ffn_up";
    case TensorRole::ffn_down:
      return "ffn_down";
    case TensorRole::ffn_gate_bias:
      return "ffn_gate_bias";
    case TensorRole::ffn_up_bias:
      return "ffn_up_bias";
    case TensorRole::ffn_down_bias:
      return "ffn_down_bias";
    case TensorRole::ffn_post_norm:
      return "ffn_post_norm";
  }
  return "unknown";
}

std::span<const Architecture* const> architectures() {
  return kArchitectures;
}

Result<const Architecture*> find_architecture(std::string_view gguf_name) {
  std::vector<std::string_view> known;
  for (const Architecture* architecture : kArchitectures) {
    if (architecture->name == gguf_name) return architecture;
    known.push_back(architecture->name);
  }
  return Error{
      fmt::format("unknown architecture '{}' (known: {})", gguf_name.substr(0, 80), fmt::join(known, ", "))};
}

Result<const Architecture*> find_architecture_by_hf(std::string_view hf_class,
                                                    std::string_view hf_model_type) {
  std::vector<std::string_view> known;
  for (const Architecture* architecture : kArchitectures) {
    for (std::string_view name : architecture->hf_classes) {
      if (name == hf_class) return architecture;
      known.push_back(name);
    }
  }
  // A config.json saved without "architectures" still names its model_type.
  if (hf_class.empty())
    for (const Architecture* architecture : kArchitectures)
      if (!architecture->hf_classes.empty() && architecture->hf_model_type == hf_model_type)
        return architecture;
  return Error{fmt::format("unknown model class '{}' of type '{}' (known: {})", hf_class.substr(0, 80),
                           hf_model_type.substr(0, 80), fmt::join(known, ", "))};
}

std::string tensor_name(std::string_view pattern, uint32_t layer) {
  size_t at = pattern.find("{}");
  if (at == std::string_view::npos) return std::string(pattern);
  return fmt::format("{}{}{}", pattern.substr(0, at), layer, pattern.substr(at + 2));
}

ParsedTensorName parse_tensor_name(const Architecture& architecture, std::string_view gguf_name) {
  // "blk.17.attn_q.weight" -> layer 17 of "blk.{}.attn_q.weight"
  constexpr std::string_view kLayers = "blk.";
  int32_t layer = -1;
  std::string_view rest;
  if (gguf_name.starts_with(kLayers)) {
    const char *begin = gguf_name.data() + kLayers.size(), *end = gguf_name.data() + gguf_name.size();
    auto [stop, code] = std::from_chars(begin, end, layer);
    bool leading_zero = stop - begin > 1 && *begin == '0';
    if (code != std::errc{} || layer < 0 || leading_zero) return {};
    rest = gguf_name.substr(size_t(stop - gguf_name.data()));
  }
  for (const TensorRule& rule : architecture.tensors) {
    bool of_layer = rule.gguf_name.starts_with("blk.{}");
    if (of_layer != (layer >= 0)) continue;
    if (of_layer ? rule.gguf_name.substr(6) == rest : rule.gguf_name == gguf_name) return {&rule, layer};
  }
  return {};
}

}  // namespace edgellm
