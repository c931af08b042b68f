#include "core/arch/architecture.h"

#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>
#include <set>

#include "core/base/test_folders.h"
#include "core/model_file/gguf.h"

namespace edgellm {
namespace {

Metadata small_model(const std::string& architecture = "llama") {
  Metadata m;
  m.set("general.architecture", MetadataValue::of_string(architecture));
  m.set(architecture + ".block_count", MetadataValue::of_uint32(3));
  m.set(architecture + ".context_length", MetadataValue::of_uint32(2048));
  m.set(architecture + ".embedding_length", MetadataValue::of_uint32(64));
  m.set(architecture + ".feed_forward_length", MetadataValue::of_uint32(160));
  m.set(architecture + ".attention.head_count", MetadataValue::of_uint32(4));
  m.set(architecture + ".attention.head_count_kv", MetadataValue::of_uint32(2));
  m.set(architecture + ".attention.layer_norm_rms_epsilon", MetadataValue::of_float32(1e-5f));
  m.set("tokenizer.ggml.tokens", MetadataValue::of_strings({"a", "b", "c"}));
  return m;
}

std::string error_of(const Metadata& metadata) {
  auto read = read_hyperparameters(metadata);
  return read.ok() ? "no error" : read.error().message;
}

TEST(Architecture, EveryFamilyIsFoundByItsNames) {
  for (const Architecture* architecture : architectures()) {
    EXPECT_EQ(*find_architecture(architecture->name), architecture);
    if (architecture->hf_classes.empty()) continue;  // known to GGUF only
    EXPECT_EQ(*find_architecture_by_hf(architecture->hf_classes[0], ""), architecture);
    EXPECT_EQ(*find_architecture_by_hf("", architecture->hf_model_type), architecture);
  }
  EXPECT_EQ((*find_architecture_by_hf("MistralForCausalLM", "mistral"))->name, "llama");
}

TEST(Architecture, AnUnknownFamilyIsNamedBesideTheKnownOnes) {
  std::string message = find_architecture("mamba").error().message;
  EXPECT_NE(message.find("'mamba'"), std::string::npos);
  EXPECT_NE(message.find("qwen2"), std::string::npos);
  EXPECT_NE(find_architecture_by_hf("OPTForCausalLM", "opt").error().message.find("OPTForCausalLM"),
            std::string::npos);
}

TEST(Architecture, NoTwoTensorsOfAFamilyShareARoleOrAName) {
  for (const Architecture* architecture : architectures()) {
    std::set<TensorRole> roles;
    std::set<std::string_view> names;
    for (const TensorRule& rule : architecture->tensors) {
      EXPECT_TRUE(roles.insert(rule.role).second) << architecture->name << " " << rule.gguf_name;
      EXPECT_TRUE(names.insert(rule.gguf_name).second) << architecture->name << " " << rule.gguf_name;
      EXPECT_EQ(rule.gguf_name.starts_with("blk.{}."), rule.hf_name.find("{}") != std::string_view::npos);
    }
  }
}

TEST(Architecture, TensorNamesAndTheirPartsConvertBothWays) {
  for (const Architecture* architecture : architectures()) {
    for (const TensorRule& rule : architecture->tensors) {
      bool of_layer = rule.gguf_name.starts_with("blk.");
      auto parsed = parse_tensor_name(*architecture, tensor_name(rule.gguf_name, 17));
      EXPECT_EQ(parsed.rule, &rule);
      EXPECT_EQ(parsed.layer, of_layer ? 17 : -1);
    }
    for (const char* name :
         {"", "blk.", "blk.x.attn_q.weight", "blk.-1.attn_q.weight", "blk.01.attn_q.weight",
          "blk.99999999999.attn_q.weight", "blk.1.attn_q", "attn_q.weight", "blk.1.output.weight",
          "blk.{}.attn_q.weight", "token_embd.weight.x"})
      EXPECT_EQ(parse_tensor_name(*architecture, name).rule, nullptr) << name;
  }
}

TEST(Hyperparameters, DefaultsFollowFromTheOtherNumbers) {
  auto model = read_hyperparameters(small_model());
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->architecture->name, "llama");
  EXPECT_EQ(model->n_vocabulary, 3u);
  EXPECT_EQ(model->n_heads, (std::vector<uint32_t>{4, 4, 4}));
  EXPECT_EQ(model->n_kv_heads, (std::vector<uint32_t>{2, 2, 2}));
  EXPECT_EQ(model->head_width_k, 16u);
  EXPECT_EQ(model->head_width_v, 16u);
  EXPECT_EQ(model->n_rotated, 16u);
  EXPECT_FLOAT_EQ(model->attention_scale, 0.25f);
  EXPECT_EQ(model->embedding_scale, 1.0f);
  EXPECT_EQ(model->rope_base, 10000.0f);
  EXPECT_FALSE(model->layer_is_sliding(0));
}

TEST(Hyperparameters, PerLayerArraysAreReadAndMustFitTheLayers) {
  Metadata metadata = small_model();
  metadata.set("llama.feed_forward_length", MetadataValue::of_int32s({160, 96, 32}));
  metadata.set("llama.attention.head_count", MetadataValue::of_uint32s({4, 2, 4}));
  metadata.set("llama.attention.head_count_kv", MetadataValue::of_uint32s({2, 1, 4}));
  auto model = read_hyperparameters(metadata);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->n_feed_forward, (std::vector<uint32_t>{160, 96, 32}));
  EXPECT_EQ(model->n_kv_heads, (std::vector<uint32_t>{2, 1, 4}));
  EXPECT_EQ(tensor_dimensions(*model, TensorRole::ffn_down, 1), (std::vector<uint64_t>{96, 64}));
  EXPECT_EQ(tensor_dimensions(*model, TensorRole::attention_q, 1), (std::vector<uint64_t>{64, 32}));
  EXPECT_EQ(tensor_dimensions(*model, TensorRole::attention_output, 1), (std::vector<uint64_t>{32, 64}));
  metadata.set("llama.feed_forward_length", MetadataValue::of_int32s({160, 96}));
  EXPECT_NE(error_of(metadata).find("has 2 elements, the model has 3 layers"), std::string::npos);
}

TEST(Hyperparameters, GemmaAlternatesWindowsAndScalesItsEmbedding) {
  Metadata metadata = small_model("gemma3");
  metadata.set("gemma3.attention.key_length", MetadataValue::of_uint32(32));
  metadata.set("gemma3.attention.sliding_window", MetadataValue::of_uint32(512));
  metadata.set("gemma3.rope.freq_base", MetadataValue::of_float32(1e6f));
  auto model = read_hyperparameters(metadata);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->rope_base, 1e6f);
  EXPECT_EQ(model->rope_base_local, 1e4f);
  EXPECT_EQ(model->embedding_scale, 8.0f);
  EXPECT_EQ(model->head_width_k, 32u);
  EXPECT_FLOAT_EQ(model->attention_scale, 1 / std::sqrt(32.0f));
  for (uint32_t layer = 0; layer < 12; ++layer) EXPECT_EQ(model->layer_is_sliding(layer), layer % 6 != 5);

  metadata.set("gemma3.block_count", MetadataValue::of_uint32(62));
  EXPECT_FLOAT_EQ(read_hyperparameters(metadata)->attention_scale, 0.25f);
}

TEST(Hyperparameters, RopeScalingIsRead) {
  Metadata metadata = small_model("qwen2");
  metadata.set("qwen2.rope.scaling.type", MetadataValue::of_string("yarn"));
  metadata.set("qwen2.rope.scaling.factor", MetadataValue::of_float32(4));
  metadata.set("qwen2.rope.scaling.original_context_length", MetadataValue::of_uint32(512));
  auto model = read_hyperparameters(metadata);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->rope_scaling, RopeScaling::yarn);
  EXPECT_EQ(model->rope_scaling_factor, 4.0f);
  EXPECT_EQ(model->rope_scaling_original_context, 512u);
  metadata.set("qwen2.rope.scaling.type", MetadataValue::of_string("longrope"));
  EXPECT_NE(error_of(metadata).find("longrope"), std::string::npos);
}

TEST(Hyperparameters, MissingAndAbsurdNumbersAreNamed) {
  EXPECT_NE(error_of(Metadata()).find("general.architecture"), std::string::npos);
  EXPECT_NE(error_of(small_model("mamba")).find("unknown architecture 'mamba'"), std::string::npos);
  for (const char* key :
       {"llama.block_count", "llama.context_length", "llama.embedding_length", "llama.feed_forward_length",
        "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon"}) {
    Metadata metadata = small_model();
    metadata.remove(key);
    EXPECT_NE(error_of(metadata).find(key), std::string::npos) << error_of(metadata);
    metadata.set(key, MetadataValue::of_string("many"));
    EXPECT_NE(error_of(metadata).find(key), std::string::npos) << error_of(metadata);
    for (int64_t absurd : {int64_t{-1}, int64_t{0}, int64_t{1} << 31, int64_t{1} << 62}) {
      if (absurd == 0 && std::string_view(key).ends_with("epsilon")) continue;
      metadata.set(key, {MetadataType::int64, {}, absurd});
      EXPECT_NE(error_of(metadata).find(key), std::string::npos) << error_of(metadata);
    }
  }
  auto with = [](const char* key, MetadataValue value) {
    Metadata metadata = small_model();
    metadata.set(key, std::move(value));
    return error_of(metadata);
  };
  EXPECT_NE(with("llama.attention.head_count_kv", MetadataValue::of_uint32(3)).find("no multiple"),
            std::string::npos);
  EXPECT_NE(with("llama.attention.head_count", MetadataValue::of_uint32(6)).find("do not divide"),
            std::string::npos);
  EXPECT_NE(with("llama.rope.dimension_count", MetadataValue::of_uint32(15)).find("even"), std::string::npos);
  EXPECT_NE(with("llama.rope.dimension_count", MetadataValue::of_uint32(32)).find("even"), std::string::npos);
  EXPECT_NE(with("llama.rope.freq_base", MetadataValue::of_float32(NAN)).find("rope.freq_base"),
            std::string::npos);
  EXPECT_NE(with("llama.expert_count", MetadataValue::of_uint32(8)).find("mixtures"), std::string::npos);
  EXPECT_NE(with("tokenizer.ggml.tokens", MetadataValue::of_strings({})).find("tokens"), std::string::npos);
  Metadata no_tokens = small_model();
  no_tokens.remove("tokenizer.ggml.tokens");
  EXPECT_NE(error_of(no_tokens).find("llama.vocab_size"), std::string::npos);
}

TEST(Hyperparameters, EveryTensorOfTheRealModelsHasTheDimensionsTheyGive) {
  std::filesystem::path folder = models_folder();
  size_t n_models = 0;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(folder, code)) {
    if (entry.path().extension() != ".gguf") continue;
    auto file = GgufFile::open(entry.path());
    ASSERT_TRUE(file.ok()) << file.error().message;
    auto model = read_hyperparameters(file->metadata());
    ASSERT_TRUE(model.ok()) << model.error().message;
    ++n_models;
    for (const GgufTensor& tensor : file->tensors()) {
      auto parsed = parse_tensor_name(*model->architecture, tensor.name);
      ASSERT_NE(parsed.rule, nullptr) << tensor.name;
      EXPECT_EQ(tensor.dimensions,
                tensor_dimensions(*model, parsed.rule->role, uint32_t(std::max(parsed.layer, 0))))
          << tensor.name;
    }
    for (const TensorRule& rule : model->architecture->tensors)
      for (uint32_t layer = 0; rule.required && layer < model->n_layers; ++layer)
        EXPECT_NE(file->find(tensor_name(rule.gguf_name, layer)), nullptr) << rule.gguf_name;
  }
  if (!n_models) GTEST_SKIP() << "no models in " << folder << "; set EDGELLM_MODELS";
}

}  // namespace
}  // namespace edgellm
