#include "core/arch/text_encoder_architecture.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/arch/text_encoder_families.h"

namespace edgellm {
namespace {

constexpr const TextEncoderArchitecture* kArchitectures[] = {
    &kBertEncoder, &kBertTensorFlowEncoder, &kRobertaEncoder, &kRemBertEncoder, &kBleurtEncoder};

std::string text_of(const nlohmann::json& config, const char* key) {
  auto found = config.find(key);
  return found != config.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string first_class(const nlohmann::json& config) {
  auto found = config.find("architectures");
  bool named = found != config.end() && found->is_array() && !found->empty() && found->front().is_string();
  return named ? found->front().get<std::string>() : "";
}

std::string_view word_embedding_name(const TextEncoderArchitecture& architecture) {
  return std::find_if(
             architecture.tensors.begin(), architecture.tensors.end(),
             [](const EncoderTensorRule& rule) { return rule.role == EncoderTensor::word_embedding; })
      ->name;
}

Result<std::vector<const TextEncoderArchitecture*>> candidates(const nlohmann::json& config) {
  std::string type = text_of(config, "model_type"), name = first_class(config);
  std::vector<const TextEncoderArchitecture*> found;
  std::vector<std::string_view> known;
  for (const TextEncoderArchitecture* architecture : kArchitectures) {
    const auto& types = architecture->model_types;
    bool fits = type.empty() ? name.empty() || name.starts_with(architecture->class_prefix)
                             : std::find(types.begin(), types.end(), type) != types.end();
    if (fits) found.push_back(architecture);
    for (std::string_view each : types)
      if (std::find(known.begin(), known.end(), each) == known.end()) known.push_back(each);
  }
  if (found.empty())
    return Error{fmt::format("config.json names the kind '{}', which is no text encoder known here ({})",
                             (type.empty() ? name : type).substr(0, 80), fmt::join(known, ", "))};
  return found;
}

}  // namespace

std::span<const TextEncoderArchitecture* const> text_encoder_architectures() {
  return kArchitectures;
}

Result<FoundTextEncoder> find_text_encoder(const nlohmann::json& config,
                                           const std::function<bool(const std::string&)>& has_tensor) {
  EDGELLM_ASSIGN_OR_RETURN(auto architectures, candidates(config));
  for (const TextEncoderArchitecture* architecture : architectures)
    for (std::string_view prefix : architecture->prefixes)
      if (has_tensor(encoder_tensor_name(prefix, word_embedding_name(*architecture), 0)))
        return FoundTextEncoder{architecture, prefix};
  const TextEncoderArchitecture& first = *architectures.front();
  std::vector<std::string> wanted;
  for (std::string_view prefix : first.prefixes)
    wanted.push_back(fmt::format("'{}'", encoder_tensor_name(prefix, word_embedding_name(first), 0)));
  return Error{fmt::format("its weights have no word embedding for the kind {}, wanted {}", first.name,
                           fmt::join(wanted, " or "))};
}

std::vector<uint64_t> encoder_tensor_shape(const TextEncoderHyperparameters& model, EncoderTensor role) {
  const uint64_t n_hidden = model.n_hidden, n_embedding = model.n_embedding, n_ffn = model.n_feed_forward;
  const bool projects = n_embedding != n_hidden;
  switch (role) {
    case EncoderTensor::word_embedding:
      return {model.n_vocabulary, n_embedding};
    case EncoderTensor::position_embedding:
      return {model.n_positions, n_embedding};
    case EncoderTensor::segment_embedding:
      return {model.n_segments, n_embedding};
    case EncoderTensor::embedding_norm:
    case EncoderTensor::embedding_norm_bias:
      return {n_embedding};
    case EncoderTensor::embedding_projection:
      return projects ? std::vector<uint64_t>{n_hidden, n_embedding} : std::vector<uint64_t>{};
    case EncoderTensor::embedding_projection_bias:
      return projects ? std::vector<uint64_t>{n_hidden} : std::vector<uint64_t>{};
    case EncoderTensor::attention_q:
    case EncoderTensor::attention_k:
    case EncoderTensor::attention_v:
    case EncoderTensor::attention_output:
      return {n_hidden, n_hidden};
    case EncoderTensor::ffn_up:
      return {n_ffn, n_hidden};
    case EncoderTensor::ffn_up_bias:
      return {n_ffn};
    case EncoderTensor::ffn_down:
      return {n_hidden, n_ffn};
    default:
      return {n_hidden};
  }
}

bool is_linear_weight(EncoderTensor role) {
  switch (role) {
    case EncoderTensor::embedding_projection:
    case EncoderTensor::attention_q:
    case EncoderTensor::attention_k:
    case EncoderTensor::attention_v:
    case EncoderTensor::attention_output:
    case EncoderTensor::ffn_up:
    case EncoderTensor::ffn_down:
      return true;
    default:
      return false;
  }
}

bool is_of_layer(EncoderTensor role) {
  return role >= EncoderTensor::attention_q;
}

std::string encoder_tensor_name(std::string_view prefix, std::string_view name, uint32_t layer) {
  size_t at = name.find("{}");
  if (at == std::string_view::npos) return fmt::format("{}{}", prefix, name);
  return fmt::format("{}{}{}{}", prefix, name.substr(0, at), layer, name.substr(at + 2));
}

}  // namespace edgellm
