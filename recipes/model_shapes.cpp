#include "recipes/model_shapes.h"

#include <fmt/format.h>

namespace edgellm {
namespace {

// From the config.json of meta-llama/Llama-2-7b-hf, mistralai/Mistral-7B-Instruct-v0.2 (the first without a
// sliding window), meta-llama/Meta-Llama-3-8B, Qwen/Qwen2.5-7B-Instruct and HuggingFaceTB/SmolLM2-135M.
constexpr ModelShape kShapes[] = {
    {.name = "llama-2-7b",
     .architecture = "llama",
     .hf_class = "LlamaForCausalLM",
     .hf_model_type = "llama",
     .n_layers = 32,
     .n_embedding = 4096,
     .n_heads = 32,
     .n_kv_heads = 32,
     .n_feed_forward = 11008,
     .n_vocabulary = 32000,
     .n_context = 4096,
     .rope_base = 10000,
     .norm_epsilon = 1e-5f,
     .tied_embedding = false,
     .attention_biases = false},
    {.name = "mistral-7b",
     .architecture = "llama",
     .hf_class = "MistralForCausalLM",
     .hf_model_type = "mistral",
     .n_layers = 32,
     .n_embedding = 4096,
     .n_heads = 32,
     .n_kv_heads = 8,
     .n_feed_forward = 14336,
     .n_vocabulary = 32000,
     .n_context = 32768,
     .rope_base = 1e6f,
     .norm_epsilon = 1e-5f,
     .tied_embedding = false,
     .attention_biases = false},
    {.name = "llama-3-8b",
     .architecture = "llama",
     .hf_class = "LlamaForCausalLM",
     .hf_model_type = "llama",
     .n_layers = 32,
     .n_embedding = 4096,
     .n_heads = 32,
     .n_kv_heads = 8,
     .n_feed_forward = 14336,
     .n_vocabulary = 128256,
     .n_context = 8192,
     .rope_base = 500000,
     .norm_epsilon = 1e-5f,
     .tied_embedding = false,
     .attention_biases = false},
    {.name = "qwen2.5-7b",
     .architecture = "qwen2",
     .hf_class = "Qwen2ForCausalLM",
     .hf_model_type = "qwen2",
     .n_layers = 28,
     .n_embedding = 3584,
     .n_heads = 28,
     .n_kv_heads = 4,
     .n_feed_forward = 18944,
     .n_vocabulary = 152064,
     .n_context = 32768,
     .rope_base = 1e6f,
     .norm_epsilon = 1e-6f,
     .tied_embedding = false,
     .attention_biases = true},
    {.name = "smollm2-135m",
     .architecture = "llama",
     .hf_class = "LlamaForCausalLM",
     .hf_model_type = "llama",
     .n_layers = 30,
     .n_embedding = 576,
     .n_heads = 9,
     .n_kv_heads = 3,
     .n_feed_forward = 1536,
     .n_vocabulary = 49152,
     .n_context = 8192,
     .rope_base = 100000,
     .norm_epsilon = 1e-5f,
     .tied_embedding = true,
     .attention_biases = false},
};

}  // namespace

std::span<const ModelShape> model_shapes() {
  return kShapes;
}

Result<const ModelShape*> find_model_shape(std::string_view name) {
  std::string known;
  for (const ModelShape& shape : kShapes) {
    if (shape.name == name) return &shape;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", shape.name);
  }
  return Error{fmt::format("no shape is called '{}'; known are {}", name, known)};
}

Metadata shape_metadata(const ModelShape& shape) {
  Metadata m;
  auto key = [&](std::string_view rest) { return fmt::format("{}.{}", shape.architecture, rest); };
  m.set("general.architecture", MetadataValue::of_string(std::string(shape.architecture)));
  m.set(key("block_count"), MetadataValue::of_uint32(shape.n_layers));
  m.set(key("context_length"), MetadataValue::of_uint32(shape.n_context));
  m.set(key("embedding_length"), MetadataValue::of_uint32(shape.n_embedding));
  m.set(key("feed_forward_length"), MetadataValue::of_uint32(shape.n_feed_forward));
  m.set(key("attention.head_count"), MetadataValue::of_uint32(shape.n_heads));
  m.set(key("attention.head_count_kv"), MetadataValue::of_uint32(shape.n_kv_heads));
  m.set(key("rope.freq_base"), MetadataValue::of_float32(shape.rope_base));
  m.set(key("attention.layer_norm_rms_epsilon"), MetadataValue::of_float32(shape.norm_epsilon));
  m.set(key("vocab_size"), MetadataValue::of_uint32(shape.n_vocabulary));
  return m;
}

}  // namespace edgellm
