// An architecture is data: one Architecture per model family drives conversion, the runtime's graph and (in
// compress/) the trainable model. A family that needs control flow gets a graph file of its own rather than
// one more switch here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/metadata.h"
#include "core/base/result.h"

namespace edgellm {

enum class NormKind { rms, layer };
// Which pairs of a head are rotated together: (2i, 2i+1) or (i, i + rotated/2).
enum class RopeKind { none, interleaved, halves };
enum class Activation { silu, gelu_tanh };

// What a tensor does; the planner and the presets speak of roles, never of names.
enum class TensorRole {
  token_embedding,
  output,
  output_norm,
  rope_factors,
  attention_norm,
  attention_q,
  attention_k,
  attention_v,
  attention_output,
  attention_q_bias,
  attention_k_bias,
  attention_v_bias,
  attention_output_bias,
  attention_q_norm,
  attention_k_norm,
  attention_post_norm,
  ffn_norm,
  ffn_gate,
  ffn_up,
  ffn_down,
  ffn_gate_bias,
  ffn_up_bias,
  ffn_down_bias,
  ffn_post_norm,
};
std::string_view to_string(TensorRole role);

// How a Hugging Face tensor becomes the GGUF tensor, and back.
enum class TensorTransform {
  none,
  permute_q,  // rows of each query head from halves to interleaved order (llama)
  permute_k,  // the same for key heads
  plus_one,   // the checkpoint stores w - 1 (gemma norms)
};

// One tensor of the family; "{}" in a name stands for the layer.
struct TensorRule {
  TensorRole role;
  std::string_view gguf_name;  // "blk.{}.attn_q.weight"
  std::string_view hf_name;    // "model.layers.{}.self_attn.q_proj.weight"
  TensorTransform transform = TensorTransform::none;
  bool required = true;
};

// One hyperparameter: GGUF key ("{}" stands for the architecture's name) from a key of config.json.
struct ConfigRule {
  std::string_view gguf_key;  // "{}.block_count"
  std::string_view hf_key;    // "num_hidden_layers"
  MetadataType type;
  // Value for an absent hf_key, as text; "=other_key" takes that key's value; empty: the GGUF key is left
  // out.
  std::string_view otherwise = {};
};

// What config.json must say where it says anything about it (as JSON text); written on the way back.
struct ConfigConstant {
  std::string_view hf_key;
  std::string_view json;
};

struct Architecture {
  std::string_view name;                         // general.architecture
  std::span<const std::string_view> hf_classes;  // config.json's "architectures"
  std::string_view hf_model_type;                // config.json's "model_type"
  NormKind norm = NormKind::rms;
  RopeKind rope = RopeKind::halves;
  Activation activation = Activation::silu;
  bool embedding_times_sqrt_width = false;  // gemma
  // n > 0: layer i sees only the sliding window unless (i + 1) % n == 0, and sliding layers use
  // local_rope_base.
  uint32_t sliding_window_period = 0;
  float local_rope_base = 10000.0f;
  // Models of exactly this many layers scale attention by 1 / sqrt(n_embedding / n_heads): gemma3 27B, which
  // a GGUF file shows in no other way; the stock loader decides the same.
  uint32_t n_layers_scaled_by_width = 0;
  std::span<const TensorRule> tensors;
  std::span<const ConfigRule> config;
  std::span<const ConfigConstant> constants;
  // config.json's name for 1 / attention_scale^2, where the family has one.
  std::string_view hf_attention_scale_key = {};
};

std::span<const Architecture* const> architectures();
// Error names the unknown architecture and lists the known ones.
Result<const Architecture*> find_architecture(std::string_view gguf_name);
Result<const Architecture*> find_architecture_by_hf(std::string_view hf_class,
                                                    std::string_view hf_model_type);

enum class RopeScaling { none, linear, yarn };

// The numbers of one model, read from GGUF metadata. Arrays have one entry per layer.
struct Hyperparameters {
  const Architecture* architecture = nullptr;
  uint32_t n_layers = 0;
  uint32_t n_embedding = 0;
  uint32_t n_vocabulary = 0;
  uint32_t n_context_trained = 0;
  std::vector<uint32_t> n_heads, n_kv_heads, n_feed_forward;
  uint32_t head_width_k = 0;  // values per key (and query) head
  uint32_t head_width_v = 0;
  uint32_t n_rotated = 0;  // values per head that rope turns
  float norm_epsilon = 1e-5f;
  float rope_base = 10000.0f;
  float rope_base_local = 10000.0f;              // of sliding-window layers
  RopeScaling rope_scaling = RopeScaling::none;  // of the layers that are not sliding
  float rope_scaling_factor = 1.0f;
  uint32_t rope_scaling_original_context = 0;
  uint32_t sliding_window = 0;         // 0: none
  uint32_t sliding_window_period = 0;  // as in Architecture
  float attention_scale = 0;           // usually 1 / sqrt(head_width_k)
  float attention_soft_cap = 0;        // 0: none
  float final_soft_cap = 0;            // 0: none
  float embedding_scale = 1.0f;

  bool layer_is_sliding(uint32_t layer) const {
    return sliding_window && sliding_window_period && (layer + 1) % sliding_window_period != 0;
  }
};

// n_vocabulary is the length of tokenizer.ggml.tokens, or "{}.vocab_size" in a file without tokenizer. Every
// number is checked against a limit, so that products of two or three of them fit 64 bits.
Result<Hyperparameters> read_hyperparameters(const Metadata& metadata);

// GGUF dimensions (innermost first) that the tensor of this role has in `layer` (0 outside the layers).
std::vector<uint64_t> tensor_dimensions(const Hyperparameters& model, TensorRole role, uint32_t layer);

// The GGUF name of a rule's tensor in a layer, and the way back. parse_tensor_name gives layer -1 for tensors
// outside the layers, and null when the name is not one of the family's.
std::string tensor_name(std::string_view pattern, uint32_t layer);
struct ParsedTensorName {
  const TensorRule* rule = nullptr;
  int32_t layer = -1;
};
ParsedTensorName parse_tensor_name(const Architecture& architecture, std::string_view gguf_name);

}  // namespace edgellm
