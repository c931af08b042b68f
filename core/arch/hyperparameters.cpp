#include <cmath>
#include <fmt/format.h>

#include "core/arch/architecture.h"

namespace edgellm {
namespace {

// Far above every published model, and small enough that products of two or three stay inside 64 bits.
constexpr int64_t kMostLayers = 1024;
constexpr int64_t kMostEmbedding = 1 << 18;
constexpr int64_t kMostFeedForward = 1 << 20;
constexpr int64_t kMostVocabulary = 1 << 24;
constexpr int64_t kMostContext = int64_t{1} << 30;
constexpr int64_t kMostHeads = 4096;
constexpr int64_t kMostHeadWidth = 4096;

// Reads "{}.key" of one architecture.
class Reader {
 public:
  Reader(const Metadata& metadata, std::string_view architecture)
      : metadata_(metadata), name_(architecture) {}

  std::string key(std::string_view rest) const { return fmt::format("{}.{}", name_, rest); }
  bool has(std::string_view rest) const { return metadata_.contains(key(rest)); }

  Result<uint32_t> count(std::string_view rest, int64_t most, int64_t least = 1) const {
    EDGELLM_ASSIGN_OR_RETURN(int64_t value, metadata_.integer(key(rest)));
    EDGELLM_RETURN_IF_ERROR(check(key(rest), value, least, most));
    return uint32_t(value);
  }
  Result<uint32_t> count_or(std::string_view rest, int64_t most, uint32_t otherwise,
                            int64_t least = 1) const {
    if (!has(rest)) return otherwise;
    return count(rest, most, least);
  }

  // One number for all layers, or an array with one for each.
  Result<std::vector<uint32_t>> counts(std::string_view rest, uint32_t n_layers, int64_t most,
                                       int64_t least = 1) const {
    EDGELLM_ASSIGN_OR_RETURN(std::vector<int64_t> values, metadata_.integers(key(rest)));
    bool array = metadata_.find(key(rest))->type == MetadataType::array;
    if (array && values.size() != n_layers)
      return Error{fmt::format("metadata key '{}' has {} elements, the model has {} layers", key(rest),
                               values.size(), n_layers)};
    std::vector<uint32_t> result(n_layers);
    for (uint32_t i = 0; i < n_layers; ++i) {
      int64_t value = values[array ? i : 0];
      EDGELLM_RETURN_IF_ERROR(check(key(rest), value, least, most));
      result[i] = uint32_t(value);
    }
    return result;
  }

  Result<float> real(std::string_view rest, double least, double most) const {
    EDGELLM_ASSIGN_OR_RETURN(double value, metadata_.real(key(rest)));
    if (!(value >= least && value <= most))
      return Error{fmt::format("metadata key '{}' is {}, wanted {} to {}", key(rest), value, least, most)};
    return float(value);
  }
  Result<float> real_or(std::string_view rest, double least, double most, float otherwise) const {
    if (!has(rest)) return otherwise;
    return real(rest, least, most);
  }

 private:
  static Status check(const std::string& key, int64_t value, int64_t least, int64_t most) {
    if (value < least || value > most)
      return Error{fmt::format("metadata key '{}' is {}, wanted {} to {}", key, value, least, most)};
    return {};
  }
  const Metadata& metadata_;
  std::string name_;
};

Status read_vocabulary(const Metadata& metadata, const Reader& reader, Hyperparameters& model) {
  if (metadata.contains("tokenizer.ggml.tokens")) {
    EDGELLM_ASSIGN_OR_RETURN(const std::vector<std::string>* tokens,
                             metadata.strings("tokenizer.ggml.tokens"));
    if (tokens->empty() || tokens->size() > size_t(kMostVocabulary))
      return Error{fmt::format("metadata key 'tokenizer.ggml.tokens' has {} elements, wanted 1 to {}",
                               tokens->size(), kMostVocabulary)};
    model.n_vocabulary = uint32_t(tokens->size());
    return {};
  }
  EDGELLM_ASSIGN_OR_RETURN(model.n_vocabulary, reader.count("vocab_size", kMostVocabulary));
  return {};
}

// Whether layers may have no attention at all, said by a head count of 0.
bool may_lack_attention(const Hyperparameters& model) {
  return model.architecture->name == "deci";
}

Status read_heads(const Reader& reader, Hyperparameters& model) {
  const int64_t least = may_lack_attention(model) ? 0 : 1;
  EDGELLM_ASSIGN_OR_RETURN(model.n_heads,
                           reader.counts("attention.head_count", model.n_layers, kMostHeads, least));
  model.n_kv_heads = model.n_heads;
  if (reader.has("attention.head_count_kv")) {
    EDGELLM_ASSIGN_OR_RETURN(model.n_kv_heads,
                             reader.counts("attention.head_count_kv", model.n_layers, kMostHeads, least));
  }
  if (!model.n_heads[0])
    return Error{fmt::format("metadata key '{}' is 0 for the first layer, which needs attention heads",
                             reader.key("attention.head_count"))};
  for (uint32_t i = 0; i < model.n_layers; ++i)
    if (!model.n_heads[i] != !model.n_kv_heads[i] ||
        (model.n_heads[i] && model.n_heads[i] % model.n_kv_heads[i]))
      return Error{fmt::format("layer {} has {} query heads, no multiple of its {} key heads", i,
                               model.n_heads[i], model.n_kv_heads[i])};
  if (!reader.has("attention.key_length") && model.n_embedding % model.n_heads[0])
    return Error{fmt::format("metadata key '{}' is missing, and {} heads do not divide the embedding's {}",
                             reader.key("attention.key_length"), model.n_heads[0], model.n_embedding)};
  uint32_t width = model.n_embedding / model.n_heads[0];
  if (!reader.has("attention.key_length") && (width == 0 || width > kMostHeadWidth))
    return Error{fmt::format("heads of {} values ({} / {}) are out of range, wanted 1 to {}", width,
                             model.n_embedding, model.n_heads[0], kMostHeadWidth)};
  EDGELLM_ASSIGN_OR_RETURN(model.head_width_k,
                           reader.count_or("attention.key_length", kMostHeadWidth, width));
  EDGELLM_ASSIGN_OR_RETURN(model.head_width_v,
                           reader.count_or("attention.value_length", kMostHeadWidth, model.head_width_k));
  return {};
}

Status read_rope(const Metadata& metadata, const Reader& reader, Hyperparameters& model) {
  EDGELLM_ASSIGN_OR_RETURN(model.n_rotated,
                           reader.count_or("rope.dimension_count", kMostHeadWidth, model.head_width_k));
  if (model.n_rotated % 2 || model.n_rotated > model.head_width_k)
    return Error{fmt::format("metadata key '{}' is {}, wanted an even number up to the head's {}",
                             reader.key("rope.dimension_count"), model.n_rotated, model.head_width_k)};
  EDGELLM_ASSIGN_OR_RETURN(model.rope_base, reader.real_or("rope.freq_base", 1.0, 1e15, 10000.0f));
  EDGELLM_ASSIGN_OR_RETURN(model.rope_base_local, reader.real_or("rope.freq_base_swa", 1.0, 1e15,
                                                                 model.architecture->local_rope_base));
  std::string kind = metadata.string_or(reader.key("rope.scaling.type"), "");
  // Files older than rope.scaling.* have one linear factor.
  if (kind.empty() && reader.has("rope.scale_linear")) {
    EDGELLM_ASSIGN_OR_RETURN(model.rope_scaling_factor, reader.real("rope.scale_linear", 1e-3, 1e6));
    model.rope_scaling = model.rope_scaling_factor == 1.0f ? RopeScaling::none : RopeScaling::linear;
    return {};
  }
  if (kind.empty() && reader.has("rope.scaling.factor")) kind = "linear";
  if (kind.empty() || kind == "none") return {};
  if (kind != "linear" && kind != "yarn")
    return Error{fmt::format("metadata key '{}' is '{}', wanted none, linear or yarn",
                             reader.key("rope.scaling.type"), kind.substr(0, 80))};
  model.rope_scaling = kind == "linear" ? RopeScaling::linear : RopeScaling::yarn;
  EDGELLM_ASSIGN_OR_RETURN(model.rope_scaling_factor, reader.real("rope.scaling.factor", 1e-3, 1e6));
  EDGELLM_ASSIGN_OR_RETURN(
      model.rope_scaling_original_context,
      reader.count_or("rope.scaling.original_context_length", kMostContext, model.n_context_trained));
  return {};
}

Status read_window(const Metadata& metadata, const Reader& reader, Hyperparameters& model) {
  const Architecture& architecture = *model.architecture;
  if (!architecture.sliding_window_period) return {};
  EDGELLM_ASSIGN_OR_RETURN(model.sliding_window,
                           reader.count_or("attention.sliding_window", kMostContext, 0, 0));
  model.sliding_window_period = architecture.sliding_window_period;
  std::string pattern = reader.key("attention.sliding_window_pattern");
  if (const MetadataValue* value = metadata.find(pattern)) {
    if (value->type == MetadataType::array)
      return Error{fmt::format("metadata key '{}' lists layers, only a period is known", pattern)};
    EDGELLM_ASSIGN_OR_RETURN(model.sliding_window_period,
                             reader.count("attention.sliding_window_pattern", kMostLayers));
  }
  return {};
}

}  // namespace

Result<Hyperparameters> read_hyperparameters(const Metadata& metadata) {
  EDGELLM_ASSIGN_OR_RETURN(std::string name, metadata.string("general.architecture"));
  Hyperparameters model;
  EDGELLM_ASSIGN_OR_RETURN(model.architecture, find_architecture(name));
  Reader reader(metadata, name);
  EDGELLM_ASSIGN_OR_RETURN(model.n_layers, reader.count("block_count", kMostLayers));
  EDGELLM_ASSIGN_OR_RETURN(model.n_embedding, reader.count("embedding_length", kMostEmbedding));
  EDGELLM_ASSIGN_OR_RETURN(model.n_context_trained, reader.count("context_length", kMostContext));
  EDGELLM_ASSIGN_OR_RETURN(model.n_feed_forward,
                           reader.counts("feed_forward_length", model.n_layers, kMostFeedForward));
  EDGELLM_ASSIGN_OR_RETURN(uint32_t n_experts, reader.count_or("expert_count", 1 << 20, 0, 0));
  if (n_experts)
    return Error{fmt::format("metadata key '{}' is {}: mixtures of experts are not supported",
                             reader.key("expert_count"), n_experts)};
  EDGELLM_RETURN_IF_ERROR(read_vocabulary(metadata, reader, model));
  EDGELLM_RETURN_IF_ERROR(read_heads(reader, model));
  EDGELLM_RETURN_IF_ERROR(read_rope(metadata, reader, model));
  EDGELLM_RETURN_IF_ERROR(read_window(metadata, reader, model));
  std::string_view epsilon = model.architecture->norm == NormKind::rms ? "attention.layer_norm_rms_epsilon"
                                                                       : "attention.layer_norm_epsilon";
  EDGELLM_ASSIGN_OR_RETURN(model.norm_epsilon, reader.real(epsilon, 0.0, 1.0));
  EDGELLM_ASSIGN_OR_RETURN(model.attention_soft_cap,
                           reader.real_or("attn_logit_softcapping", 0.0, 1e6, 0.0f));
  EDGELLM_ASSIGN_OR_RETURN(model.final_soft_cap, reader.real_or("final_logit_softcapping", 0.0, 1e6, 0.0f));

  uint32_t scaled_by = model.head_width_k;
  if (model.n_layers == model.architecture->n_layers_scaled_by_width)
    scaled_by = model.n_embedding / model.n_heads[0];
  model.attention_scale = 1.0f / std::sqrt(float(std::max(scaled_by, 1u)));
  if (model.architecture->embedding_times_sqrt_width)
    model.embedding_scale = std::sqrt(float(model.n_embedding));
  return model;
}

std::vector<uint64_t> tensor_dimensions(const Hyperparameters& model, TensorRole role, uint32_t layer) {
  uint64_t n_embedding = model.n_embedding, n_feed_forward = model.n_feed_forward[layer];
  uint64_t q = uint64_t{model.n_heads[layer]} * model.head_width_k;
  uint64_t k = uint64_t{model.n_kv_heads[layer]} * model.head_width_k;
  uint64_t v = uint64_t{model.n_kv_heads[layer]} * model.head_width_v;
  uint64_t mixed = uint64_t{model.n_heads[layer]} * model.head_width_v;
  switch (role) {
    case TensorRole::token_embedding:
    case TensorRole::output:
      return {n_embedding, model.n_vocabulary};
    case TensorRole::rope_factors:
      return {model.n_rotated / 2};
    case TensorRole::output_norm:
    case TensorRole::attention_norm:
    case TensorRole::attention_post_norm:
    case TensorRole::attention_output_bias:
    case TensorRole::ffn_norm:
    case TensorRole::ffn_post_norm:
    case TensorRole::ffn_down_bias:
      return {n_embedding};
    case TensorRole::attention_q:
      return {n_embedding, q};
    case TensorRole::attention_k:
      return {n_embedding, k};
    case TensorRole::attention_v:
      return {n_embedding, v};
    case TensorRole::attention_output:
      return {mixed, n_embedding};
    case TensorRole::attention_q_bias:
      return {q};
    case TensorRole::attention_k_bias:
      return {k};
    case TensorRole::attention_v_bias:
      return {v};
    case TensorRole::attention_q_norm:
    case TensorRole::attention_k_norm:
      return {model.head_width_k};
    case TensorRole::ffn_gate:
    case TensorRole::ffn_up:
      return {n_embedding, n_feed_forward};
    case TensorRole::ffn_down:
      return {n_feed_forward, n_embedding};
    case TensorRole::ffn_gate_bias:
    case TensorRole::ffn_up_bias:
      return {n_feed_forward};
  }
  return {};
}

}  // namespace edgellm
