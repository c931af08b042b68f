#include "recipes/pruned_weights.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "core/blocks/exact_zero.h"

namespace edgellm {
namespace {

constexpr const char* kKey = "edgellm.pruned_weights";
constexpr std::array kRoles = {TensorRole::attention_q,      TensorRole::attention_k, TensorRole::attention_v,
                               TensorRole::attention_output, TensorRole::ffn_gate,    TensorRole::ffn_up,
                               TensorRole::ffn_down};

}  // namespace

std::span<const TensorRole> roles_pruned_by_weight() {
  return kRoles;
}

bool is_pruned_by_weight(TensorRole role) {
  return std::find(kRoles.begin(), kRoles.end(), role) != kRoles.end();
}

bool has_pruned_weights(const GgufFile& source) {
  return source.metadata().integer_or(kKey, 0) > 0;
}

void tell_pruned_weights(uint64_t n_weights, Metadata& metadata) {
  metadata.set(kKey, MetadataValue::of_uint64(n_weights));
}

void forget_pruned_weights(Metadata& metadata) {
  metadata.remove(kKey);
}

bool keeps_pruned_weights(const GgufFile& source, TensorRole role, TensorType type) {
  return !has_pruned_weights(source) || !is_pruned_by_weight(role) || holds_exact_zero(type);
}

std::vector<std::string> tensors_losing_zeros(const GgufFile& source, const QuantizationPlan& plan) {
  std::vector<std::string> losing;
  if (!has_pruned_weights(source)) return losing;
  auto h = read_hyperparameters(source.metadata());
  if (!h.ok()) return losing;
  for (const auto& [name, type] : plan.types) {
    const ParsedTensorName parsed = parse_tensor_name(*h->architecture, name);
    if (parsed.rule && !keeps_pruned_weights(source, parsed.rule->role, type)) losing.push_back(name);
  }
  return losing;
}

Status check_keeps_pruned_weights(const GgufFile& source, const QuantizationPlan& plan) {
  const auto losing = tensors_losing_zeros(source, plan);
  if (losing.empty()) return {};
  std::string keeping;
  for (const TensorTypeInfo& type : tensor_types())
    if (holds_exact_zero(type.type) && is_writable(type) && type.n_values_per_block > 1)
      keeping += fmt::format("{}{}", keeping.empty() ? "" : ", ", type.name);
  return Error{fmt::format(
      "tensor {}{}: type {} holds no exact zero, so the pruned weights would not stay zero; {} hold one",
      losing.front(), losing.size() > 1 ? fmt::format(" and {} more", losing.size() - 1) : "",
      to_string(plan.types.at(losing.front())), keeping)};
}

}  // namespace edgellm
