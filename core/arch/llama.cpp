// llama 1 to 3, TinyLlama, SmolLM2, and Mistral, which GGUF files also call llama; and deci, the same graph
// with layers of different widths.
#include "core/arch/families.h"

namespace edgellm {
namespace {

using enum TensorRole;
using enum TensorTransform;

constexpr std::string_view kClasses[] = {"LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM"};

constexpr TensorRule kTensors[] = {
    {token_embedding, "token_embd.weight", "model.embed_tokens.weight"},
    {output_norm, "output_norm.weight", "model.norm.weight"},
    {output, "output.weight", "lm_head.weight", none, false},
    // Not in the checkpoint: computed from config.json's rope_scaling of type llama3.
    {rope_factors, "rope_freqs.weight", "", none, false},
    {attention_norm, "blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight"},
    {attention_q, "blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight", permute_q},
    {attention_k, "blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight", permute_k},
    {attention_v, "blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight"},
    {attention_output, "blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight"},
    {attention_q_bias, "blk.{}.attn_q.bias", "model.layers.{}.self_attn.q_proj.bias", permute_q, false},
    {attention_k_bias, "blk.{}.attn_k.bias", "model.layers.{}.self_attn.k_proj.bias", permute_k, false},
    {attention_v_bias, "blk.{}.attn_v.bias", "model.layers.{}.self_attn.v_proj.bias", none, false},
    {attention_output_bias, "blk.{}.attn_output.bias", "model.layers.{}.self_attn.o_proj.bias", none, false},
    {ffn_norm, "blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight"},
    {ffn_gate, "blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight"},
    {ffn_up, "blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight"},
    {ffn_down, "blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight"},
    {ffn_gate_bias, "blk.{}.ffn_gate.bias", "model.layers.{}.mlp.gate_proj.bias", none, false},
    {ffn_up_bias, "blk.{}.ffn_up.bias", "model.layers.{}.mlp.up_proj.bias", none, false},
    {ffn_down_bias, "blk.{}.ffn_down.bias", "model.layers.{}.mlp.down_proj.bias", none, false},
};

constexpr ConfigRule kConfig[] = {
    {"{}.block_count", "num_hidden_layers", MetadataType::uint32},
    {"{}.context_length", "max_position_embeddings", MetadataType::uint32, "2048"},
    {"{}.embedding_length", "hidden_size", MetadataType::uint32},
    {"{}.feed_forward_length", "intermediate_size", MetadataType::uint32},
    {"{}.attention.head_count", "num_attention_heads", MetadataType::uint32},
    {"{}.attention.head_count_kv", "num_key_value_heads", MetadataType::uint32, "=num_attention_heads"},
    {"{}.rope.freq_base", "rope_theta", MetadataType::float32, "10000"},
    {"{}.attention.layer_norm_rms_epsilon", "rms_norm_eps", MetadataType::float32, "1e-6"},
    {"{}.vocab_size", "vocab_size", MetadataType::uint32},
    {"{}.attention.key_length", "head_dim", MetadataType::uint32},
    {"{}.attention.value_length", "head_dim", MetadataType::uint32},
};

constexpr ConfigConstant kConstants[] = {{"hidden_act", "\"silu\""}};

}  // namespace

const Architecture kLlama = {
    .name = "llama",
    .hf_classes = kClasses,
    .hf_model_type = "llama",
    .rope = RopeKind::interleaved,
    .tensors = kTensors,
    .config = kConfig,
    .constants = kConstants,
};

// What stock llama.cpp calls a llama whose layers differ: an own number of heads and feed-forward width each,
// and none of the heads where a layer has no attention. Made for Nvidia's pruned Llama 3; we write it for
// what we prune ourselves. Checkpoints of it describe layers in a way of their own, which is not read.
const Architecture kDeci = {
    .name = "deci",
    .hf_classes = {},
    .hf_model_type = "",
    .rope = RopeKind::interleaved,
    .tensors = kTensors,
    .config = kConfig,
    .constants = kConstants,
};

}  // namespace edgellm
