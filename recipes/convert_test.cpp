#include "recipes/convert.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>

#include "core/arch/architecture.h"
#include "core/base/interrupt.h"
#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"
#include "core/base/test_folders.h"
#include "core/model_file/gguf.h"
#include "core/model_file/hf_folder.h"
#include "recipes/convert_config.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class ConvertTest : public testing::Test {
 protected:
  void TearDown() override { clear_interrupt(); }
  TemporaryFolder folder_ = *TemporaryFolder::create("convert");
};

// Two layers, 4 query heads and 2 key heads of 8 values, six tokens.
Metadata small_metadata(const std::string& name) {
  Metadata m;
  auto set = [&](const char* key, MetadataValue value) { m.set(name + "." + key, std::move(value)); };
  m.set("general.architecture", MetadataValue::of_string(name));
  m.set("general.name", MetadataValue::of_string("Small"));
  m.set("general.license", MetadataValue::of_string("apache-2.0"));
  m.set("general.languages", MetadataValue::of_strings({"en", "de"}));
  set("block_count", MetadataValue::of_uint32(2));
  set("context_length", MetadataValue::of_uint32(128));
  set("embedding_length", MetadataValue::of_uint32(32));
  set("feed_forward_length", MetadataValue::of_uint32(64));
  set("attention.head_count", MetadataValue::of_uint32(4));
  set("attention.head_count_kv", MetadataValue::of_uint32(2));
  set("attention.layer_norm_rms_epsilon", MetadataValue::of_float32(1e-6f));
  set("rope.freq_base", MetadataValue::of_float32(500000.0f));
  if (name == "gemma3") {
    set("attention.key_length", MetadataValue::of_uint32(8));
    set("attention.value_length", MetadataValue::of_uint32(8));
    set("attention.sliding_window", MetadataValue::of_uint32(16));
  }
  m.set("tokenizer.ggml.model", MetadataValue::of_string("gpt2"));
  m.set("tokenizer.ggml.pre", MetadataValue::of_string("qwen2"));
  m.set("tokenizer.ggml.tokens", MetadataValue::of_strings({"a", "b", "c", "ab", "abc", "<|end|>"}));
  m.set("tokenizer.ggml.token_type", MetadataValue::of_int32s({1, 1, 1, 1, 1, 3}));
  m.set("tokenizer.ggml.merges", MetadataValue::of_strings({"a b", "ab c"}));
  m.set("tokenizer.ggml.eos_token_id", MetadataValue::of_uint32(5));
  return m;
}

// Every tensor of the family (optional ones too where `optional`), F32. Norms are halves near 1, so that
// subtracting 1 is exact.
void write_small_model(const fs::path& path, const Metadata& metadata, bool optional = true) {
  auto model = read_hyperparameters(metadata);
  ASSERT_TRUE(model.ok()) << model.error().message;
  std::vector<GgufWriter::Declaration> tensors;
  for (const TensorRule& rule : model->architecture->tensors) {
    if (rule.hf_name.empty() || (!rule.required && !optional)) continue;
    bool of_layer = rule.gguf_name.starts_with("blk.");
    for (uint32_t layer = 0; layer < (of_layer ? model->n_layers : 1); ++layer)
      tensors.push_back(
          {tensor_name(rule.gguf_name, layer), TensorType::F32, tensor_dimensions(*model, rule.role, layer)});
  }
  std::mt19937 random(7);
  auto writer = GgufWriter::create(path, metadata, tensors);
  ASSERT_TRUE(writer.ok()) << writer.error().message;
  for (const auto& tensor : tensors) {
    std::vector<float> values(*tensor_bytes(tensor) / sizeof(float));
    for (float& v : values) v = float(random() % 4096) / 2048.0f - 0.5f;
    ASSERT_TRUE(writer->write(std::as_bytes(std::span(values))).ok());
  }
  ASSERT_TRUE(writer->commit().ok());
}

std::vector<float> decoded(const GgufTensor& tensor) {
  std::vector<float> values(tensor.n_values());
  size_t n_row_bytes = *row_bytes(tensor.type, tensor.n_columns());
  for (size_t r = 0; r < tensor.n_rows(); ++r)
    info(tensor.type)
        .decode(tensor.data.data() + r * n_row_bytes, values.data() + r * tensor.n_columns(),
                tensor.n_columns());
  return values;
}

void expect_same_weights(const GgufFile& one, const GgufFile& other) {
  ASSERT_EQ(one.tensors().size(), other.tensors().size());
  for (const GgufTensor& tensor : one.tensors()) {
    const GgufTensor* twin = other.find(tensor.name);
    ASSERT_NE(twin, nullptr) << tensor.name;
    EXPECT_EQ(tensor.dimensions, twin->dimensions) << tensor.name;
    EXPECT_EQ(decoded(tensor), decoded(*twin)) << tensor.name;
  }
}

TEST_F(ConvertTest, EveryFamilyComesBackFromAFolderWithTheSameWeightsAndMetadata) {
  for (const Architecture* architecture : architectures()) {
    if (architecture->hf_classes.empty()) continue;  // known to GGUF only
    for (bool optional : {false, true}) {
      fs::path first = folder_ / "first.gguf", hf = folder_ / "hf", second = folder_ / "second.gguf";
      Metadata metadata = small_metadata(std::string(architecture->name));
      write_small_model(first, metadata, optional);
      auto there = convert_gguf_to_hf(first, hf, {.most_shard_bytes = optional ? 20000u : 0u});
      ASSERT_TRUE(there.ok()) << there.error().message;
      auto back = convert_hf_to_gguf(hf, second, {});
      ASSERT_TRUE(back.ok()) << back.error().message;
      auto one = GgufFile::open(first), other = GgufFile::open(second);
      ASSERT_TRUE(one.ok() && other.ok());
      expect_same_weights(*one, *other);
      EXPECT_EQ(back->n_bytes, fs::file_size(second));
      for (const auto& [key, value] : metadata.entries()) {
        const MetadataValue* found = other->metadata().find(key);
        ASSERT_NE(found, nullptr) << architecture->name << " " << key;
        EXPECT_EQ(found->to_text(), value.to_text()) << architecture->name << " " << key;
      }
      fs::remove_all(hf);
    }
  }
}

TEST_F(ConvertTest, LlamaQueriesAreReorderedAndGemmaNormsLoseOne) {
  write_small_model(folder_ / "l.gguf", small_metadata("llama"));
  write_small_model(folder_ / "g.gguf", small_metadata("gemma3"));
  ASSERT_TRUE(convert_gguf_to_hf(folder_ / "l.gguf", folder_ / "l", {}).ok());
  ASSERT_TRUE(convert_gguf_to_hf(folder_ / "g.gguf", folder_ / "g", {}).ok());
  auto floats = [](const SafetensorsTensor* tensor) {
    std::vector<float> values(tensor->n_values());
    decode_values(tensor->type, tensor->data.data(), values.data(), values.size());
    return values;
  };
  auto file = GgufFile::open(folder_ / "l.gguf");
  auto hf = HfFolder::open(folder_ / "l");
  ASSERT_TRUE(hf.ok()) << hf.error().message;
  std::vector<float> pairs = decoded(*file->find("blk.0.attn_k.weight"));
  std::vector<float> halves = floats(hf->find("model.layers.0.self_attn.k_proj.weight"));
  // Of a head's 8 rows, GGUF's 0 2 4 6 come first in the checkpoint, then 1 3 5 7.
  for (size_t head = 0; head < 2; ++head)
    for (size_t i = 0; i < 8; ++i)
      EXPECT_EQ(halves[(head * 8 + i) * 32], pairs[(head * 8 + (i < 4 ? 2 * i : 2 * (i - 4) + 1)) * 32]);
  EXPECT_EQ(hf->config()["architectures"][0], "LlamaForCausalLM");
  EXPECT_EQ(hf->config()["attention_bias"], true);
  EXPECT_EQ(hf->config()["tie_word_embeddings"], false);

  auto gemma = GgufFile::open(folder_ / "g.gguf");
  auto gemma_hf = HfFolder::open(folder_ / "g");
  ASSERT_TRUE(gemma_hf.ok()) << gemma_hf.error().message;
  std::vector<float> with_one = decoded(*gemma->find("output_norm.weight"));
  std::vector<float> without = floats(gemma_hf->find("model.norm.weight"));
  for (size_t i = 0; i < without.size(); ++i) EXPECT_EQ(without[i], with_one[i] - 1);
  EXPECT_EQ(gemma_hf->config()["query_pre_attn_scalar"], 8);
}

TEST_F(ConvertTest, TheTypeAskedForIsWrittenAndVectorsStayF32) {
  write_small_model(folder_ / "m.gguf", small_metadata("qwen2"));
  ASSERT_TRUE(convert_gguf_to_hf(folder_ / "m.gguf", folder_ / "hf", {.type = TensorType::BF16}).ok());
  EXPECT_EQ(HfFolder::open(folder_ / "hf")->config()["torch_dtype"], "bfloat16");
  for (TensorType type : {TensorType::F32, TensorType::F16, TensorType::BF16, TensorType::Q8_0}) {
    auto done = convert_hf_to_gguf(folder_ / "hf", folder_ / "out.gguf", {.type = type});
    ASSERT_TRUE(done.ok()) << done.error().message;
    auto file = GgufFile::open(folder_ / "out.gguf");
    EXPECT_EQ(file->find("blk.1.ffn_up.weight")->type, type);
    EXPECT_EQ(file->find("blk.1.ffn_norm.weight")->type, TensorType::F32);
  }
  EXPECT_FALSE(convert_hf_to_gguf(folder_ / "hf", folder_ / "out.gguf", {.type = TensorType::Q4_K}).ok());
}

class BrokenFolderTest : public ConvertTest {
 protected:
  void SetUp() override {
    ConvertTest::SetUp();
    write_small_model(folder_ / "m.gguf", small_metadata("llama"));
    ASSERT_TRUE(convert_gguf_to_hf(folder_ / "m.gguf", folder_ / "hf", {}).ok());
  }
  // Writes the folder's weights again, changed.
  void rewrite(const std::function<bool(SafetensorsWriter::Declaration&, std::vector<float>&)>& keep) {
    std::vector<SafetensorsWriter::Declaration> tensors;
    std::vector<std::vector<float>> data;
    {
      auto file = SafetensorsFile::open(folder_ / "hf/model.safetensors");
      for (const SafetensorsTensor& tensor : file->tensors()) {
        std::vector<float> values(tensor.n_values());
        decode_values(tensor.type, tensor.data.data(), values.data(), values.size());
        SafetensorsWriter::Declaration declaration{tensor.name, SafetensorsType::F32, tensor.shape};
        if (!keep(declaration, values)) continue;
        tensors.push_back(declaration);
        data.push_back(values);
      }
    }
    auto writer = SafetensorsWriter::create(folder_ / "hf", tensors);
    for (auto& values : data) ASSERT_TRUE(writer->write(std::as_bytes(std::span(values))).ok());
    ASSERT_TRUE(writer->commit().ok());
  }
  void set_config(const char* key, json value) {
    auto config = *read_json_object(folder_ / "hf/config.json", 1 << 20);
    config[key] = std::move(value);
    ASSERT_TRUE(write_text_file(folder_ / "hf/config.json", config.dump()).ok());
  }
  std::string error(ConvertOptions options = {}) {
    auto done = convert_hf_to_gguf(folder_ / "hf", folder_ / "out.gguf", options);
    EXPECT_FALSE(fs::exists(folder_ / "out.gguf"));
    return done.ok() ? "no error" : done.error().message;
  }
};

TEST_F(BrokenFolderTest, WeightsThatAreNotFiniteOrDoNotFitAreNamed) {
  constexpr const char* kName = "model.layers.1.mlp.up_proj.weight";
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    rewrite([&](auto& tensor, auto& values) {
      if (tensor.name == kName) values[70] = bad;
      return true;
    });
    EXPECT_NE(error().find(std::string("'") + kName + "': row 2 holds"), std::string::npos);
  }
  rewrite([&](auto& tensor, auto& values) {
    if (tensor.name == kName) values[70] = 70000;
    return true;
  });
  EXPECT_NE(error({.type = TensorType::F16}).find("too large for F16"), std::string::npos);
}

TEST_F(BrokenFolderTest, MissingTensorsAreNamed) {
  rewrite([](auto& tensor, auto&) { return tensor.name != "model.layers.0.mlp.up_proj.weight"; });
  EXPECT_NE(error().find("'model.layers.0.mlp.up_proj.weight' is missing"), std::string::npos);
}

TEST_F(BrokenFolderTest, UnknownTensorsAreNamed) {
  rewrite([](auto& tensor, auto&) {
    if (tensor.name == "model.layers.0.mlp.up_proj.bias") tensor.name = "model.layers.9.mlp.up_proj.bias";
    return true;
  });
  EXPECT_NE(error().find("'model.layers.9.mlp.up_proj.bias' is not part"), std::string::npos);
}

TEST_F(BrokenFolderTest, AConfigThatDisagreesWithTheWeightsIsNamed) {
  set_config("intermediate_size", 96);
  EXPECT_NE(error().find("has shape [64, 32], config.json gives it [96, 32]"), std::string::npos);
}

TEST_F(BrokenFolderTest, AConfigBeyondTheFamilyIsRefused) {
  set_config("hidden_act", "relu");
  EXPECT_NE(error().find("'hidden_act' is \"relu\""), std::string::npos);
  set_config("hidden_act", "silu");
  set_config("rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2}});
  EXPECT_NE(error().find("dynamic"), std::string::npos);
  set_config("rope_scaling", nullptr);
  set_config("num_hidden_layers", -3);
  EXPECT_NE(error().find("'num_hidden_layers' is -3"), std::string::npos);
  set_config("architectures", {"OPTForCausalLM"});
  EXPECT_NE(error().find("OPTForCausalLM"), std::string::npos);
}

TEST_F(BrokenFolderTest, AnInterruptedConversionLeavesNothing) {
  request_interrupt();
  EXPECT_NE(error().find("interrupted"), std::string::npos);
  EXPECT_FALSE(convert_gguf_to_hf(folder_ / "m.gguf", folder_ / "other", {}).ok());
  for (const auto& entry : fs::directory_iterator(folder_))
    EXPECT_EQ(entry.path().string().find(".partial"), std::string::npos) << entry.path();
}

TEST_F(BrokenFolderTest, TheInputAndFoldersThatExistAreNeverOverwritten) {
  EXPECT_FALSE(convert_hf_to_gguf(folder_ / "hf", folder_ / "hf/model.safetensors", {}).ok());
  EXPECT_FALSE(convert_gguf_to_hf(folder_ / "m.gguf", folder_ / "hf", {}).ok());
  EXPECT_FALSE(convert_gguf_to_hf(folder_ / "m.gguf", folder_ / "m.gguf", {}).ok());
  EXPECT_TRUE(HfFolder::open(folder_ / "hf").ok());
  EXPECT_TRUE(GgufFile::open(folder_ / "m.gguf").ok());
}

TEST_F(ConvertTest, Llama3RopeScalingBecomesFactorsAndComesBack) {
  json config = {{"model_type", "llama"},
                 {"hidden_size", 256},
                 {"num_attention_heads", 2},
                 {"num_hidden_layers", 1},
                 {"intermediate_size", 64},
                 {"rope_theta", 500000.0},
                 {"vocab_size", 6},
                 {"rope_scaling",
                  {{"rope_type", "llama3"},
                   {"factor", 32.0},
                   {"low_freq_factor", 1.0},
                   {"high_freq_factor", 4.0},
                   {"original_max_position_embeddings", 8192}}}};
  Metadata metadata;
  ASSERT_TRUE(metadata_from_config(config, **architecture_of_config(config), metadata).ok());
  auto model = read_hyperparameters(metadata);
  ASSERT_TRUE(model.ok()) << model.error().message;
  auto factors = rope_factors_from_config(config, *model);
  ASSERT_TRUE(factors.ok()) << factors.error().message;
  ASSERT_EQ(factors->size(), 64u);
  EXPECT_EQ(factors->front(), 1.0f);
  EXPECT_EQ(factors->back(), 32.0f);
  auto back = config_from_metadata(metadata, *model, {.rope_factors = *factors});
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ((*back)["rope_scaling"]["factor"], 32.0);
  EXPECT_EQ((*back)["rope_scaling"]["original_max_position_embeddings"], 8192);
  (*factors)[40] *= 1.1f;
  EXPECT_FALSE(config_from_metadata(metadata, *model, {.rope_factors = *factors}).ok());
}

TEST_F(ConvertTest, ConfigsOfNewerProgramsAreRead) {
  json config = {{"model_type", "gemma3_text"},
                 {"hidden_size", 640},
                 {"num_attention_heads", 4},
                 {"num_hidden_layers", 2},
                 {"intermediate_size", 64},
                 {"head_dim", 256},
                 {"layer_types", {"sliding_attention", "sliding_attention"}},
                 {"query_pre_attn_scalar", 256},
                 {"rope_parameters",
                  {{"full_attention", {{"rope_theta", 2e6}, {"rope_type", "linear"}, {"factor", 8}}},
                   {"sliding_attention", {{"rope_theta", 10000}, {"rope_type", "default"}}}}}};
  Metadata metadata;
  auto status = metadata_from_config(config, **architecture_of_config(config), metadata);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(*metadata.real("gemma3.rope.freq_base"), 2e6);
  EXPECT_EQ(*metadata.string("gemma3.rope.scaling.type"), "linear");
  EXPECT_EQ(*metadata.real("gemma3.rope.scaling.factor"), 8.0);
  config["query_pre_attn_scalar"] = 100;
  EXPECT_FALSE(metadata_from_config(config, **architecture_of_config(config), metadata).ok());
  config["query_pre_attn_scalar"] = 256;
  config["layer_types"][1] = "full_attention";
  EXPECT_FALSE(metadata_from_config(config, **architecture_of_config(config), metadata).ok());
}

TEST_F(ConvertTest, ARealModelComesBackWithTheSameWeights) {
  fs::path path = models_folder() / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!fs::exists(path)) GTEST_SKIP() << "no " << path << "; set EDGELLM_MODELS";
  auto there = convert_gguf_to_hf(path, folder_ / "hf", {.type = TensorType::F32});
  ASSERT_TRUE(there.ok()) << there.error().message;
  auto back = convert_hf_to_gguf(folder_ / "hf", folder_ / "back.gguf", {});
  ASSERT_TRUE(back.ok()) << back.error().message;
  auto one = GgufFile::open(path), other = GgufFile::open(folder_ / "back.gguf");
  ASSERT_TRUE(one.ok() && other.ok());
  expect_same_weights(*one, *other);
  for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.token_type",
                          "tokenizer.chat_template", "llama.rope.freq_base", "general.license"})
    EXPECT_TRUE(*one->metadata().find(key) == *other->metadata().find(key)) << key;
}

}  // namespace
}  // namespace edgellm
