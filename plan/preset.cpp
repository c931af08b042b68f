#include "plan/preset.h"

#include <fmt/format.h>
#include <iterator>
#include <string>
#include <strings.h>

namespace edgellm {
namespace {

using enum TensorType;
constexpr auto kEmbedding = TensorRole::token_embedding;
constexpr auto kQ = TensorRole::attention_q;
constexpr auto kK = TensorRole::attention_k;
constexpr auto kV = TensorRole::attention_v;
constexpr auto kAttentionOutput = TensorRole::attention_output;
constexpr auto kGate = TensorRole::ffn_gate;
constexpr auto kUp = TensorRole::ffn_up;
constexpr auto kDown = TensorRole::ffn_down;

constexpr PresetRule kIQ1[] = {{kEmbedding, LayerSet::all, Q2_K},
                               {kV, LayerSet::all, Q4_K, true},
                               {kV, LayerSet::all, Q2_K},
                               {kDown, LayerSet::first_eighth, Q2_K},
                               {kAttentionOutput, LayerSet::all, IQ2_XXS}};
constexpr PresetRule kIQ2_XS[] = {{kEmbedding, LayerSet::all, Q2_K},
                                  {kV, LayerSet::all, Q4_K, true},
                                  {kV, LayerSet::all, Q2_K},
                                  {kDown, LayerSet::first_eighth, Q2_K}};
constexpr PresetRule kIQ2_M[] = {{kEmbedding, LayerSet::all, IQ3_S},
                                 {kV, LayerSet::all, Q4_K, true},
                                 {kV, LayerSet::all, IQ3_S},
                                 {kDown, LayerSet::first_eighth, IQ3_S},
                                 {kAttentionOutput, LayerSet::all, IQ3_S}};
constexpr PresetRule kIQ3_XXS[] = {{kEmbedding, LayerSet::all, IQ3_S},
                                   {kV, LayerSet::all, Q4_K, true},
                                   {kQ, LayerSet::all, IQ2_S},
                                   {kK, LayerSet::all, IQ2_S},
                                   {kAttentionOutput, LayerSet::all, IQ3_S}};
constexpr PresetRule kIQ3_XS[] = {{kV, LayerSet::all, Q4_K, true},
                                  {kQ, LayerSet::all, IQ3_XXS},
                                  {kK, LayerSet::all, IQ3_XXS},
                                  {kGate, LayerSet::middle, IQ3_XXS},
                                  {kUp, LayerSet::middle, IQ3_XXS}};
constexpr PresetRule kIQ3_S[] = {{kV, LayerSet::all, Q4_K, true}};
constexpr PresetRule kIQ3_M[] = {{kV, LayerSet::all, Q4_K},
                                 {kDown, LayerSet::first_eighth, Q4_K},
                                 {kAttentionOutput, LayerSet::all, Q4_K}};
constexpr PresetRule kQ2_0[] = {{kEmbedding, LayerSet::all, Q4_K}};
constexpr PresetRule kQ2_K_S[] = {{kV, LayerSet::all, Q4_K, true}, {kDown, LayerSet::first_eighth, Q4_K}};
constexpr PresetRule kQ2_K[] = {{kV, LayerSet::all, Q4_K, true},
                                {kV, LayerSet::all, Q3_K},
                                {kDown, LayerSet::all, Q3_K},
                                {kAttentionOutput, LayerSet::all, Q3_K}};
constexpr PresetRule kQ3_K_M[] = {{kV, LayerSet::first_two, Q5_K},
                                  {kV, LayerSet::all, Q4_K},
                                  {kDown, LayerSet::first_sixteenth, Q5_K},
                                  {kDown, LayerSet::all, Q4_K},
                                  {kAttentionOutput, LayerSet::all, Q4_K}};
constexpr PresetRule kQ3_K_L[] = {
    {kV, LayerSet::all, Q5_K}, {kDown, LayerSet::all, Q5_K}, {kAttentionOutput, LayerSet::all, Q5_K}};
constexpr PresetRule kQ4_K_S[] = {{kV, LayerSet::first_four, Q5_K}, {kDown, LayerSet::first_eighth, Q5_K}};
constexpr PresetRule kMoreBitsQ6_K[] = {{kV, LayerSet::more_bits, Q6_K}, {kDown, LayerSet::more_bits, Q6_K}};
constexpr PresetRule kIQ4[] = {{kV, LayerSet::all, Q5_K, true}};

constexpr Preset kPresets[] = {
    {"IQ1_S", 24, IQ1_S, kIQ1, Q5_K},
    {"IQ1_M", 31, IQ1_M, kIQ1, Q5_K},
    {"IQ2_XXS", 19, IQ2_XXS, kIQ2_XS, Q5_K},
    {"Q2_0", 41, Q2_0, kQ2_0},
    {"IQ2_XS", 20, IQ2_XS, kIQ2_XS, Q5_K},
    {"IQ2_S", 28, IQ2_XS, kIQ2_M, Q5_K},
    {"IQ2_M", 29, IQ2_S, kIQ2_M, Q5_K},
    {"Q2_K_S", 21, Q2_K, kQ2_K_S},
    {"Q2_K", 10, Q2_K, kQ2_K},
    {"IQ3_XXS", 23, IQ3_XXS, kIQ3_XXS, Q5_K},
    {"IQ3_XS", 22, IQ3_S, kIQ3_XS},
    {"IQ3_S", 26, IQ3_S, kIQ3_S},
    {"IQ3_M", 27, IQ3_S, kIQ3_M},
    {"Q3_K_S", 11, Q3_K, {}},
    {"Q3_K_M", 12, Q3_K, kQ3_K_M},
    {"Q3_K_L", 13, Q3_K, kQ3_K_L},
    {"IQ4_XS", 30, IQ4_XS, kIQ4},
    {"IQ4_NL", 25, IQ4_NL, kIQ4},
    {"Q4_0", 2, Q4_0, {}},
    {"Q4_K_S", 14, Q4_K, kQ4_K_S},
    {"Q4_K_M", 15, Q4_K, kMoreBitsQ6_K},
    {"Q4_1", 3, Q4_1, {}},
    {"Q5_0", 8, Q5_0, {}},
    {"Q5_K_S", 16, Q5_K, {}},
    {"Q5_K_M", 17, Q5_K, kMoreBitsQ6_K},
    {"Q5_1", 9, Q5_1, {}},
    {"Q6_K", 18, Q6_K, {}},
    {"Q8_0", 7, Q8_0, {}},
    {"BF16", 32, BF16, {}},
    {"F16", 1, F16, {}},
    {"F32", 0, F32, {}},
};

bool contains(LayerSet set, uint32_t layer, uint32_t n) {
  switch (set) {
    case LayerSet::all:
      return true;
    case LayerSet::first_two:
      return layer < 2;
    case LayerSet::first_four:
      return layer < 4;
    case LayerSet::first_sixteenth:
      return layer < n / 16;
    case LayerSet::first_eighth:
      return layer < n / 8;
    case LayerSet::middle:
      return layer >= n / 8 && layer < 7 * n / 8;
    case LayerSet::more_bits:
      return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
  }
  return false;
}

bool is_float(TensorType type) {
  return type == F32 || type == F16 || type == BF16;
}

}  // namespace

std::span<const Preset> presets() {
  return kPresets;
}

Result<const Preset*> find_preset(std::string_view name) {
  std::string names;
  for (const Preset& preset : kPresets) {
    if (name.size() == preset.name.size() && strncasecmp(name.data(), preset.name.data(), name.size()) == 0)
      return &preset;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", preset.name);
  }
  return Error{fmt::format("unknown type '{}': known are {}", name, names)};
}

TensorType type_for_row(TensorType type, size_t n_columns) {
  if (n_columns % info(type).n_values_per_block == 0) return type;
  TensorType smaller_block = Q8_0;
  switch (type) {
    case Q2_K:
    case Q3_K:
    case TQ1_0:
    case TQ2_0:
    case Q2_0:
      smaller_block = Q4_0;
      break;
    case IQ1_S:
    case IQ1_M:
    case IQ2_XXS:
    case IQ2_XS:
    case IQ2_S:
    case IQ3_XXS:
    case IQ3_S:
    case IQ4_XS:
      smaller_block = IQ4_NL;
      break;
    case Q4_K:
      smaller_block = Q5_0;
      break;
    case Q5_K:
      smaller_block = Q5_1;
      break;
    default:
      break;
  }
  return n_columns % info(smaller_block).n_values_per_block == 0 ? smaller_block : F16;
}

bool is_quantizable(TensorRole role) {
  switch (role) {
    case TensorRole::token_embedding:
    case TensorRole::output:
    case TensorRole::attention_q:
    case TensorRole::attention_k:
    case TensorRole::attention_v:
    case TensorRole::attention_output:
    case TensorRole::ffn_gate:
    case TensorRole::ffn_up:
    case TensorRole::ffn_down:
      return true;
    default:
      return false;
  }
}

TensorType preset_tensor_type(const Preset& preset, const PresetContext& context, TensorRole role,
                              int32_t layer, size_t n_columns) {
  if (!is_quantizable(role)) return F32;
  TensorType type = preset.base;
  if (is_float(type)) return type;
  bool is_output =
      role == TensorRole::output || (role == TensorRole::token_embedding && context.tied_embedding);
  if (is_output) {
    bool fits = n_columns % info(type).n_values_per_block == 0;
    if (type != Q8_0) type = fits ? preset.output : Q8_0;
  } else {
    for (const PresetRule& rule : preset.rules) {
      if (rule.role != role || !contains(rule.layers, uint32_t(layer), context.n_layers)) continue;
      if (rule.only_when_grouped && context.n_heads / std::max(context.n_kv_heads, 1u) < 4) continue;
      type = rule.type;
      break;
    }
  }
  return type_for_row(type, n_columns);
}

}  // namespace edgellm
