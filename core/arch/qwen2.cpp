// Qwen2 and Qwen2.5 (Coder, Math): llama with biases on q, k and v, and heads rotated by halves.
#include "core/arch/families.h"

namespace edgellm {
namespace {

using enum TensorRole;
using enum TensorTransform;

constexpr std::string_view kClasses[] = {"Qwen2ForCausalLM"};

constexpr TensorRule kTensors[] = {
    {token_embedding, "token_embd.weight", "model.embed_tokens.weight"},
    {output_norm, "output_norm.weight", "model.norm.weight"},
    {output, "output.weight", "lm_head.weight", none, false},
    {attention_norm, "blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight"},
    {attention_q, "blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight"},
    {attention_k, "blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight"},
    {attention_v, "blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight"},
    {attention_output, "blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight"},
    {attention_q_bias, "blk.{}.attn_q.bias", "model.layers.{}.self_attn.q_proj.bias"},
    {attention_k_bias, "blk.{}.attn_k.bias", "model.layers.{}.self_attn.k_proj.bias"},
    {attention_v_bias, "blk.{}.attn_v.bias", "model.layers.{}.self_attn.v_proj.bias"},
    {ffn_norm, "blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight"},
    {ffn_gate, "blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight"},
    {ffn_up, "blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight"},
    {ffn_down, "blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight"},
};

constexpr ConfigRule kConfig[] = {
    {"{}.block_count", "num_hidden_layers", MetadataType::uint32},
    {"{}.context_length", "max_position_embeddings", MetadataType::uint32, "32768"},
    {"{}.embedding_length", "hidden_size", MetadataType::uint32},
    {"{}.feed_forward_length", "intermediate_size", MetadataType::uint32},
    {"{}.attention.head_count", "num_attention_heads", MetadataType::uint32},
    {"{}.attention.head_count_kv", "num_key_value_heads", MetadataType::uint32, "=num_attention_heads"},
    {"{}.rope.freq_base", "rope_theta", MetadataType::float32, "10000"},
    {"{}.attention.layer_norm_rms_epsilon", "rms_norm_eps", MetadataType::float32, "1e-6"},
};

// use_sliding_window: the stock loader knows no window for qwen2, and no published checkpoint turns it on.
constexpr ConfigConstant kConstants[] = {{"hidden_act", "\"silu\""}, {"use_sliding_window", "false"}};

}  // namespace

const Architecture kQwen2 = {
    .name = "qwen2",
    .hf_classes = kClasses,
    .hf_model_type = "qwen2",
    .rope = RopeKind::halves,
    .tensors = kTensors,
    .config = kConfig,
    .constants = kConstants,
};

}  // namespace edgellm
