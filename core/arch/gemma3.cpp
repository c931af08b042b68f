// Gemma 3, the text model: norms before and after each block, q/k norms, five sliding-window layers to one
// global.
#include "core/arch/families.h"

namespace edgellm {
namespace {

using enum TensorRole;
using enum TensorTransform;

// The second is the multimodal checkpoint; its vision part is left out.
constexpr std::string_view kClasses[] = {"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"};

constexpr TensorRule kTensors[] = {
    {token_embedding, "token_embd.weight", "model.embed_tokens.weight"},
    {output_norm, "output_norm.weight", "model.norm.weight", plus_one},
    {output, "output.weight", "lm_head.weight", none, false},
    {attention_norm, "blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight", plus_one},
    {attention_q, "blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight"},
    {attention_k, "blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight"},
    {attention_v, "blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight"},
    {attention_q_norm, "blk.{}.attn_q_norm.weight", "model.layers.{}.self_attn.q_norm.weight", plus_one},
    {attention_k_norm, "blk.{}.attn_k_norm.weight", "model.layers.{}.self_attn.k_norm.weight", plus_one},
    {attention_output, "blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight"},
    {attention_post_norm, "blk.{}.post_attention_norm.weight",
     "model.layers.{}.post_attention_layernorm.weight", plus_one},
    {ffn_norm, "blk.{}.ffn_norm.weight", "model.layers.{}.pre_feedforward_layernorm.weight", plus_one},
    {ffn_gate, "blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight"},
    {ffn_up, "blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight"},
    {ffn_down, "blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight"},
    {ffn_post_norm, "blk.{}.post_ffw_norm.weight", "model.layers.{}.post_feedforward_layernorm.weight",
     plus_one},
};

// Defaults are those of the published configuration class: the larger checkpoints leave most keys out.
constexpr ConfigRule kConfig[] = {
    {"{}.context_length", "max_position_embeddings", MetadataType::uint32, "131072"},
    {"{}.embedding_length", "hidden_size", MetadataType::uint32, "2304"},
    {"{}.block_count", "num_hidden_layers", MetadataType::uint32, "26"},
    {"{}.feed_forward_length", "intermediate_size", MetadataType::uint32, "9216"},
    {"{}.attention.head_count", "num_attention_heads", MetadataType::uint32, "8"},
    {"{}.attention.layer_norm_rms_epsilon", "rms_norm_eps", MetadataType::float32, "1e-6"},
    {"{}.attention.key_length", "head_dim", MetadataType::uint32, "256"},
    {"{}.attention.value_length", "head_dim", MetadataType::uint32, "256"},
    {"{}.rope.freq_base", "rope_theta", MetadataType::float32, "1000000"},
    {"{}.attention.sliding_window", "sliding_window", MetadataType::uint32, "4096"},
    {"{}.attention.head_count_kv", "num_key_value_heads", MetadataType::uint32, "4"},
    {"{}.final_logit_softcapping", "final_logit_softcapping", MetadataType::float32},
};

constexpr ConfigConstant kConstants[] = {
    {"hidden_activation", "\"gelu_pytorch_tanh\""},
    {"attention_bias", "false"},
    {"rope_local_base_freq", "10000.0"},
    {"sliding_window_pattern", "6"},
    {"attn_logit_softcapping", "null"},
    {"use_bidirectional_attention", "false"},
};

}  // namespace

const Architecture kGemma3 = {
    .name = "gemma3",
    .hf_classes = kClasses,
    .hf_model_type = "gemma3_text",
    .rope = RopeKind::halves,
    .activation = Activation::gelu_tanh,
    .embedding_times_sqrt_width = true,
    .sliding_window_period = 6,
    .local_rope_base = 10000.0f,
    .n_layers_scaled_by_width = 62,
    .tensors = kTensors,
    .config = kConfig,
    .constants = kConstants,
    .hf_attention_scale_key = "query_pre_attn_scalar",
};

}  // namespace edgellm
