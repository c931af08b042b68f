#include "recipes/convert_config.h"

#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numbers>

namespace edgellm {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

Error wrong(std::string_view key, std::string_view what) {
  return {fmt::format("config.json: '{}' {}", key, what)};
}

std::string brief(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 60) + "..." : text;
}

// The value of a key; null for absent and for null.
const json* find(const json& object, std::string_view key) {
  auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

// transformers 5 gathers rope_theta and rope_scaling in rope_parameters, for Gemma one set per kind of layer.
const json* rope_parameters(const json& config, std::string_view layers) {
  const json* parameters = find(config, "rope_parameters");
  if (!parameters || !parameters->is_object()) return nullptr;
  const json* of_layers = find(*parameters, layers);
  if (of_layers) return of_layers->is_object() ? of_layers : nullptr;
  return layers == "full_attention" ? parameters : nullptr;
}

const json* find_value(const json& config, std::string_view key) {
  if (const json* value = find(config, key)) return value;
  if (key != "rope_theta") return nullptr;
  const json* parameters = rope_parameters(config, "full_attention");
  return parameters ? find(*parameters, key) : nullptr;
}

Result<MetadataValue> metadata_value(std::string_view key, const json& value, MetadataType type) {
  if (type == MetadataType::uint32) {
    bool negative = value.is_number_integer() && !value.is_number_unsigned() && value.get<int64_t>() < 0;
    if (!value.is_number_integer() || negative ||
        value.get<uint64_t>() > std::numeric_limits<uint32_t>::max())
      return wrong(key, fmt::format("is {}, wanted a count", brief(value)));
    return MetadataValue::of_uint32(uint32_t(value.get<uint64_t>()));
  }
  if (type == MetadataType::float32) {
    if (!value.is_number() || !std::isfinite(float(value.get<double>())))
      return wrong(key, fmt::format("is {}, wanted a number", brief(value)));
    return MetadataValue::of_float32(float(value.get<double>()));
  }
  assert(!"a ConfigRule of a type that no family has");
  return wrong(key, "has a type no rule knows");
}

Status apply_rules(const json& config, const Architecture& architecture, Metadata& metadata) {
  for (const ConfigRule& rule : architecture.config) {
    const json* value = find_value(config, rule.hf_key);
    json otherwise;
    if (!value && rule.otherwise.starts_with('=')) value = find(config, rule.otherwise.substr(1));
    if (!value && !rule.otherwise.empty() && !rule.otherwise.starts_with('=')) {
      otherwise = json::parse(rule.otherwise);
      value = &otherwise;
    }
    if (!value) continue;
    EDGELLM_ASSIGN_OR_RETURN(MetadataValue read, metadata_value(rule.hf_key, *value, rule.type));
    metadata.set(fmt::format(fmt::runtime(rule.gguf_key), architecture.name), std::move(read));
  }
  return {};
}

Status check_constants(const json& config, const Architecture& architecture) {
  for (const ConfigConstant& constant : architecture.constants) {
    const json* value = find(config, constant.hf_key);
    if (value && *value != json::parse(constant.json))
      return wrong(constant.hf_key, fmt::format("is {}, of {} only {} is supported", brief(*value),
                                                architecture.name, constant.json));
  }
  const json* local = rope_parameters(config, "sliding_attention");
  const json* theta = local ? find(*local, "rope_theta") : nullptr;
  if (theta && (!theta->is_number() || float(theta->get<double>()) != architecture.local_rope_base))
    return wrong("rope_parameters", fmt::format("turns sliding layers by base {}, only {} is supported",
                                                brief(*theta), architecture.local_rope_base));
  const json* layers = find(config, "layer_types");
  for (size_t i = 0; layers && layers->is_array() && i < layers->size(); ++i) {
    uint32_t period = architecture.sliding_window_period;
    bool sliding = period && (i + 1) % period != 0;
    if ((*layers)[i] != (sliding ? "sliding_attention" : "full_attention"))
      return wrong("layer_types", fmt::format("makes layer {} {}, {} has another order of layers", i,
                                              brief((*layers)[i]), architecture.name));
  }
  return {};
}

struct RopeScalingConfig {
  std::string kind;  // empty: none
  const json* values = nullptr;
};

Result<RopeScalingConfig> rope_scaling_of(const json& config) {
  const json* scaling = find(config, "rope_scaling");
  if (!scaling) scaling = rope_parameters(config, "full_attention");
  if (!scaling) return RopeScalingConfig{};
  if (!scaling->is_object()) return wrong("rope_scaling", "is no object");
  const json* kind = find(*scaling, "rope_type");
  if (!kind) kind = find(*scaling, "type");
  if (!kind) return RopeScalingConfig{};
  if (!kind->is_string()) return wrong("rope_scaling", "has a type that is no text");
  auto name = kind->get<std::string>();
  if (name == "default") return RopeScalingConfig{};
  if (name != "linear" && name != "yarn" && name != "llama3")
    return wrong("rope_scaling",
                 fmt::format("is of type {}, known are linear, yarn and llama3", brief(*kind)));
  return RopeScalingConfig{name, scaling};
}

Status apply_rope_scaling(const json& config, const Architecture& architecture, Metadata& metadata) {
  EDGELLM_ASSIGN_OR_RETURN(RopeScalingConfig scaling, rope_scaling_of(config));
  if (scaling.kind.empty() || scaling.kind == "llama3") return {};
  auto key = [&](std::string_view rest) {
    return fmt::format("{}.rope.scaling.{}", architecture.name, rest);
  };
  const json* factor = find(*scaling.values, "factor");
  if (!factor) return wrong("rope_scaling", "has no factor");
  EDGELLM_ASSIGN_OR_RETURN(MetadataValue value,
                           metadata_value("rope_scaling", *factor, MetadataType::float32));
  metadata.set(key("type"), MetadataValue::of_string(scaling.kind));
  metadata.set(key("factor"), std::move(value));
  if (scaling.kind == "linear") return {};
  const json* original = find(*scaling.values, "original_max_position_embeddings");
  if (!original) original = find(config, "max_position_embeddings");
  if (!original) return wrong("rope_scaling", "has no original_max_position_embeddings");
  EDGELLM_ASSIGN_OR_RETURN(value, metadata_value("rope_scaling", *original, MetadataType::uint32));
  metadata.set(key("original_context_length"), std::move(value));
  return {};
}

// rope_scaling "llama3": long wavelengths are stretched by `factor`, short ones left, those between blended.
struct Llama3Scaling {
  double factor = 8, low = 1, high = 4, original_context = 8192;

  std::vector<float> factors(double base, uint32_t n_rotated) const {
    std::vector<float> result;
    for (uint32_t i = 0; i < n_rotated; i += 2) {
      double wavelength = 2 * std::numbers::pi * std::pow(base, double(i) / n_rotated);
      double blend = (original_context / wavelength - low) / (high - low);
      if (wavelength < original_context / high)
        result.push_back(1);
      else if (wavelength > original_context / low)
        result.push_back(float(factor));
      else
        result.push_back(float(1 / ((1 - blend) / factor + blend)));
    }
    return result;
  }
};

// Finds the scaling that gives these factors. The long wavelengths show `factor`; the published checkpoints
// differ in nothing else but the context they were trained for first.
Result<Llama3Scaling> infer_llama3(const std::vector<float>& factors, const Hyperparameters& model) {
  Llama3Scaling scaling;
  scaling.factor = factors.empty() ? 0 : double(factors.back());
  for (double context = 1024; context <= 131072; context *= 2) {
    scaling.original_context = context;
    std::vector<float> tried = scaling.factors(model.rope_base, model.n_rotated);
    bool same = tried.size() == factors.size();
    for (size_t i = 0; same && i < tried.size(); ++i)
      same = std::fabs(tried[i] - factors[i]) <= 1e-4f * factors[i];
    if (same) return scaling;
  }
  return Error{"rope_freqs.weight holds factors that config.json's rope_scaling 'llama3' does not give"};
}

// The shortest decimal that reads back as this float: 1e-05, not 9.999999747378752e-06.
double shortest(float value) {
  std::string text = fmt::format("{}", value);
  double result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

// Per-layer arrays have no place in config.json unless all layers agree.
Result<ordered_json> config_value(const Metadata& metadata, const std::string& key, MetadataType type) {
  if (type == MetadataType::float32) {
    EDGELLM_ASSIGN_OR_RETURN(double value, metadata.real(key));
    return ordered_json(shortest(float(value)));
  }
  EDGELLM_ASSIGN_OR_RETURN(std::vector<int64_t> values, metadata.integers(key));
  for (int64_t value : values)
    if (value != values[0])
      return Error{
          fmt::format("metadata key '{}' differs from layer to layer, which config.json cannot say", key)};
  if (values.empty()) return Error{fmt::format("metadata key '{}' is an empty array", key)};
  return ordered_json(values[0]);
}

Result<ordered_json> rope_scaling_config(const Hyperparameters& model,
                                         const std::vector<float>& rope_factors) {
  if (!rope_factors.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(Llama3Scaling scaling, infer_llama3(rope_factors, model));
    return ordered_json{{"rope_type", "llama3"},
                        {"factor", scaling.factor},
                        {"low_freq_factor", scaling.low},
                        {"high_freq_factor", scaling.high},
                        {"original_max_position_embeddings", uint64_t(scaling.original_context)}};
  }
  if (model.rope_scaling == RopeScaling::none) return ordered_json(nullptr);
  ordered_json scaling = {{"rope_type", model.rope_scaling == RopeScaling::linear ? "linear" : "yarn"},
                          {"factor", shortest(model.rope_scaling_factor)}};
  if (model.rope_scaling == RopeScaling::yarn)
    scaling["original_max_position_embeddings"] = model.rope_scaling_original_context;
  return scaling;
}

}  // namespace

const json& text_config(const json& config) {
  const json* text = find(config, "text_config");
  return text && text->is_object() ? *text : config;
}

Result<const Architecture*> architecture_of_config(const json& config) {
  std::string name, model_type;
  const json* classes = find(config, "architectures");
  if (classes && classes->is_array() && !classes->empty() && (*classes)[0].is_string()) name = (*classes)[0];
  if (const json* type = find(config, "model_type"); type && type->is_string()) model_type = *type;
  if (name.empty() && model_type.empty())
    return Error{"config.json names neither 'architectures' nor 'model_type'"};
  return find_architecture_by_hf(name, model_type);
}

Status metadata_from_config(const json& whole, const Architecture& architecture, Metadata& metadata) {
  const json& config = text_config(whole);
  if (find(whole, "quantization_config"))
    return wrong("quantization_config", "is there: convert the unquantized checkpoint");
  EDGELLM_RETURN_IF_ERROR(check_constants(config, architecture));
  metadata.set("general.architecture", MetadataValue::of_string(std::string(architecture.name)));
  EDGELLM_RETURN_IF_ERROR(apply_rules(config, architecture, metadata));
  EDGELLM_RETURN_IF_ERROR(apply_rope_scaling(config, architecture, metadata));
  // Loaders of interleaved rotation want its width said.
  if (architecture.rope == RopeKind::interleaved) {
    auto key = [&](std::string_view rest) { return fmt::format("{}.{}", architecture.name, rest); };
    int64_t n_heads = std::max<int64_t>(metadata.integer_or(key("attention.head_count"), 1), 1);
    int64_t width = metadata.integer_or(key("embedding_length"), 0) / n_heads;
    width = metadata.integer_or(key("attention.key_length"), width);
    metadata.set(key("rope.dimension_count"), MetadataValue::of_uint32(uint32_t(width)));
  }
  const json* scale = find(config, architecture.hf_attention_scale_key);
  if (architecture.hf_attention_scale_key.empty() || !scale) return {};
  // The scale follows from other numbers in a GGUF file; here the vocabulary is not known yet and does not
  // matter.
  Metadata probe = metadata;
  probe.set("tokenizer.ggml.tokens", MetadataValue::of_strings({""}));
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters model, read_hyperparameters(probe));
  if (!scale->is_number() ||
      std::fabs(1 / std::sqrt(scale->get<double>()) - double(model.attention_scale)) > 1e-6)
    return wrong(architecture.hf_attention_scale_key,
                 fmt::format("is {}, which a {} GGUF file of this shape cannot say", brief(*scale),
                             architecture.name));
  return {};
}

Result<std::vector<float>> rope_factors_from_config(const json& whole, const Hyperparameters& model) {
  EDGELLM_ASSIGN_OR_RETURN(RopeScalingConfig config, rope_scaling_of(text_config(whole)));
  if (config.kind != "llama3") return std::vector<float>{};
  Llama3Scaling scaling;
  auto read = [&](std::string_view key, double& value) -> Status {
    const json* given = find(*config.values, key);
    if (!given) return {};
    if (!given->is_number() || !(given->get<double>() > 0)) return wrong(key, "is no positive number");
    value = given->get<double>();
    return {};
  };
  EDGELLM_RETURN_IF_ERROR(read("factor", scaling.factor));
  EDGELLM_RETURN_IF_ERROR(read("low_freq_factor", scaling.low));
  EDGELLM_RETURN_IF_ERROR(read("high_freq_factor", scaling.high));
  EDGELLM_RETURN_IF_ERROR(read("original_max_position_embeddings", scaling.original_context));
  if (scaling.high <= scaling.low) return wrong("high_freq_factor", "is not above low_freq_factor");
  return scaling.factors(model.rope_base, model.n_rotated);
}

Result<ordered_json> config_from_metadata(const Metadata& metadata, const Hyperparameters& model,
                                          const ConfigExtras& extras) {
  const Architecture& architecture = *model.architecture;
  if (architecture.hf_classes.empty())
    return Error{fmt::format("architecture {} has no Hugging Face form that is written", architecture.name)};
  ordered_json config;
  config["architectures"] = {architecture.hf_classes[0]};
  config["model_type"] = architecture.hf_model_type;
  if (std::string name = metadata.string_or("general.name", ""); !name.empty())
    config["_name_or_path"] = name;
  for (const ConfigRule& rule : architecture.config) {
    std::string key = fmt::format(fmt::runtime(rule.gguf_key), architecture.name);
    if (!metadata.contains(key)) continue;
    EDGELLM_ASSIGN_OR_RETURN(ordered_json value, config_value(metadata, key, rule.type));
    if (config.contains(rule.hf_key) && config[std::string(rule.hf_key)] != value)
      return Error{fmt::format("metadata key '{}' is {}, config.json has one '{}' for it and {}", key,
                               value.dump(), rule.hf_key, config[std::string(rule.hf_key)].dump())};
    config[std::string(rule.hf_key)] = std::move(value);
  }
  config["vocab_size"] = model.n_vocabulary;
  config["rope_theta"] = shortest(model.rope_base);
  EDGELLM_ASSIGN_OR_RETURN(config["rope_scaling"], rope_scaling_config(model, extras.rope_factors));
  for (const ConfigConstant& constant : architecture.constants)
    config[std::string(constant.hf_key)] = ordered_json::parse(constant.json);
  if (!architecture.hf_attention_scale_key.empty())
    config[std::string(architecture.hf_attention_scale_key)] =
        std::lround(1 / (double(model.attention_scale) * double(model.attention_scale)));
  for (const TensorRule& rule : architecture.tensors) {
    if (rule.role == TensorRole::attention_q_bias && !rule.required)
      config["attention_bias"] = extras.attention_bias;
    if (rule.role == TensorRole::ffn_up_bias && !rule.required) config["mlp_bias"] = extras.mlp_bias;
  }
  config["tie_word_embeddings"] = extras.tied_embedding;
  for (const char* token : {"bos", "eos", "pad"}) {
    std::string key =
        fmt::format("tokenizer.ggml.{}_token_id", token == std::string_view("pad") ? "padding" : token);
    if (metadata.contains(key)) {
      EDGELLM_ASSIGN_OR_RETURN(int64_t id, metadata.integer(key));
      config[fmt::format("{}_token_id", token)] = id;
    }
  }
  config["torch_dtype"] = extras.dtype;
  return config;
}

}  // namespace edgellm
