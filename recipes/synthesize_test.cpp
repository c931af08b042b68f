#include "recipes/synthesize.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/base/interrupt.h"
#include "core/base/output_file.h"
#include "core/model_file/hf_folder.h"
#include "core/text/byte_level.h"
#include "core/text/tokenizer.h"
#include "recipes/convert.h"
#include "recipes/tokenizer_source.h"
#include "runtime/decode/runtime_language_model.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr ModelShape kTiny = {.name = "tiny",
                              .architecture = "llama",
                              .hf_class = "MistralForCausalLM",
                              .hf_model_type = "mistral",
                              .n_layers = 3,
                              .n_embedding = 64,
                              .n_heads = 4,
                              .n_kv_heads = 2,
                              .n_feed_forward = 160,
                              .n_vocabulary = 300,
                              .n_context = 512,
                              .rope_base = 10000,
                              .norm_epsilon = 1e-5f,
                              .tied_embedding = false,
                              .attention_biases = false};

class SynthesizeTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("edgellm_synthesize_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    Metadata m = tiny::metadata_of({.n_vocabulary = 258});
    std::vector<std::string> tokens;
    std::vector<int32_t> types(258, 1);
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(byte_level_character(uint8_t(byte)));
    tokens.insert(tokens.end(), {"th", "<|end|>"});
    types.back() = 3;
    m.set("tokenizer.ggml.model", MetadataValue::of_string("gpt2"));
    m.set("tokenizer.ggml.pre", MetadataValue::of_string("gpt-2"));
    m.set("tokenizer.ggml.tokens", MetadataValue::of_strings(std::move(tokens)));
    m.set("tokenizer.ggml.token_type", MetadataValue::of_int32s(types));
    m.set("tokenizer.ggml.merges", MetadataValue::of_strings({"t h"}));
    m.set("tokenizer.ggml.eos_token_id", MetadataValue::of_uint32(257));
    ASSERT_TRUE(tiny::write(folder_ / "source.gguf", m, tiny::tensors_of({.n_vocabulary = 258})).ok());
  }
  void TearDown() override {
    clear_interrupt();
    fs::remove_all(folder_);
  }

  SynthesizeOptions options(const std::string& output, const ModelShape& shape = kTiny) const {
    SynthesizeOptions o;
    o.shape = shape;
    o.output = folder_ / output;
    o.tokenizer = folder_ / "source.gguf";
    o.n_threads = 2;
    return o;
  }
  void expect_written(const SynthesizeOptions& o) {
    auto report = synthesize(o, {});
    ASSERT_TRUE(report.ok()) << report.error().message;
  }
  void expect_refused(const SynthesizeOptions& o, const std::string& words) {
    auto report = synthesize(o, {});
    ASSERT_FALSE(report.ok());
    EXPECT_NE(report.error().message.find(words), std::string::npos) << report.error().message;
    for (const auto& entry : fs::directory_iterator(folder_))
      EXPECT_EQ(entry.path().string().find(".partial-"), std::string::npos) << entry.path();
  }
  std::map<std::string, std::string> files(const std::string& folder) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::directory_iterator(folder_ / folder))
      all[entry.path().filename()] = *read_text_file(entry.path());
    return all;
  }
  std::shared_ptr<const GgufFile> converted(const std::string& folder) {
    auto report = convert_hf_to_gguf(folder_ / folder, folder_ / (folder + ".gguf"), {});
    EXPECT_TRUE(report.ok()) << report.error().message;
    auto file = GgufFile::open(folder_ / (folder + ".gguf"));
    EXPECT_TRUE(file.ok());
    return std::make_shared<GgufFile>(std::move(*file));
  }
  fs::path folder_;
};

std::vector<float> values_of(const GgufTensor& tensor) {
  std::vector<float> values(tensor.n_values());
  info(tensor.type).decode(tensor.data.data(), values.data(), values.size());
  return values;
}

TEST(ModelShapes, HaveAsManyParametersAsThePublishedModels) {
  const std::map<std::string_view, uint64_t> kPublished = {{"llama-2-7b", 6'738'415'616},
                                                           {"mistral-7b", 7'241'732'096},
                                                           {"llama-3-8b", 8'030'261'248},
                                                           {"qwen2.5-7b", 7'615'616'512},
                                                           {"smollm2-135m", 134'515'008}};
  for (const ModelShape& s : model_shapes()) {
    uint64_t e = s.n_embedding, kv = e / s.n_heads * s.n_kv_heads, f = s.n_feed_forward;
    uint64_t layer = 2 * e * e + 2 * e * kv + 3 * e * f + 2 * e + (s.attention_biases ? e + 2 * kv : 0);
    uint64_t all = s.n_layers * layer + (s.tied_embedding ? 1 : 2) * e * s.n_vocabulary + e;
    EXPECT_EQ(all, kPublished.at(s.name)) << s.name;
  }
}

TEST(ModelShapes, AnUnknownNameListsTheKnown) {
  auto found = find_model_shape("llama-9");
  ASSERT_FALSE(found.ok());
  for (const ModelShape& s : model_shapes())
    EXPECT_NE(found.error().message.find(s.name), std::string::npos) << found.error().message;
}

TEST_F(SynthesizeTest, EveryFamilyIsConvertedAndRuns) {
  for (bool qwen : {false, true}) {
    ModelShape shape = kTiny;
    if (qwen) {
      shape.architecture = shape.hf_model_type = "qwen2";
      shape.hf_class = "Qwen2ForCausalLM";
      shape.attention_biases = shape.tied_embedding = true;
    }
    std::string name = qwen ? "qwen" : "llama";
    SynthesizeOptions o = options(name, shape);
    o.type = qwen ? TensorType::F16 : TensorType::BF16;
    expect_written(o);
    auto file = converted(name);
    EXPECT_EQ(file->find("output.weight") == nullptr, qwen);
    EXPECT_EQ(file->find("blk.2.attn_q.bias") != nullptr, qwen);
    EXPECT_EQ(file->find("blk.0.ffn_up.weight")->type, o.type);
    auto tokenizer = Tokenizer::from_metadata(file->metadata());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    EXPECT_EQ(tokenizer->n_vocabulary(), 300u);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("the thing")), "the thing");
    auto model = RuntimeLanguageModel::load(file, {.n_context = 64, .n_threads = 1});
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_TRUE(
        (*model)->evaluate(tokenizer->encode("the thing"), 0, [](size_t, auto) { return Status{}; }).ok());
  }
}

TEST_F(SynthesizeTest, TheFolderIsLaidOutAsOnTheHub) {
  SynthesizeOptions o = options("m");
  o.most_shard_bytes = 60000;
  o.n_layers = 2;
  expect_written(o);
  auto config = json::parse(files("m").at("config.json"));
  EXPECT_EQ(config["architectures"], json({"MistralForCausalLM"}));
  EXPECT_EQ(config["model_type"], "mistral");
  EXPECT_EQ(config["num_hidden_layers"], 2);
  EXPECT_EQ(config["edgellm_synthetic"]["layers_of_the_original"], 3);
  EXPECT_EQ(config["vocab_size"], 300);
  EXPECT_EQ(config["torch_dtype"], "bfloat16");
  EXPECT_EQ(config["eos_token_id"], 257);
  auto index = json::parse(files("m").at("model.safetensors.index.json"));
  EXPECT_EQ(index["weight_map"]["model.embed_tokens.weight"].get<std::string>().substr(0, 15),
            "model-00001-of-");
  auto folder = HfFolder::open(folder_ / "m");
  ASSERT_TRUE(folder.ok()) << folder.error().message;
  EXPECT_GT(folder->files().size(), 1u);
  EXPECT_EQ(folder->find("lm_head.weight")->shape, (std::vector<uint64_t>{300, 64}));
  EXPECT_EQ(folder->find("model.layers.1.mlp.down_proj.weight")->shape, (std::vector<uint64_t>{64, 160}));
  EXPECT_EQ(folder->find("model.layers.2.mlp.down_proj.weight"), nullptr);
}

TEST_F(SynthesizeTest, TheBytesDependOnTheSeedAndNotOnTheThreads) {
  SynthesizeOptions o = options("one");
  o.n_threads = 1;
  expect_written(o);
  o.output = folder_ / "three";
  o.n_threads = 3;
  expect_written(o);
  EXPECT_TRUE(files("one") == files("three"));
  o.output = folder_ / "other";
  o.seed = 2;
  expect_written(o);
  EXPECT_FALSE(files("one").at("model.safetensors") == files("other").at("model.safetensors"));
}

TEST_F(SynthesizeTest, WeightsHaveHeavyTailsAndTheSameOutlierChannelsInEveryLayer) {
  ModelShape shape = kTiny;
  shape.n_embedding = 512;
  shape.n_feed_forward = 1024;
  expect_written(options("m", shape));
  auto file = converted("m");
  std::vector<float> up = values_of(*file->find("blk.1.ffn_up.weight"));
  double squares = 0, fourths = 0;
  for (double v : up) {
    squares += v * v;
    fourths += v * v * v * v;
  }
  double n = double(up.size());
  EXPECT_GT(fourths / n / std::pow(squares / n, 2), 5.0) << "a normal distribution has 3";
  std::vector<std::vector<size_t>> outliers;
  for (const char* name : {"blk.0.attn_norm.weight", "blk.2.ffn_norm.weight", "output_norm.weight"}) {
    std::vector<float> norm = values_of(*file->find(name));
    outliers.emplace_back();
    for (size_t c = 0; c < norm.size(); ++c) {
      EXPECT_GT(norm[c], 0.4f);
      if (norm[c] > 2.5f) outliers.back().push_back(c);
    }
  }
  EXPECT_FALSE(outliers[0].empty());
  EXPECT_EQ(outliers[0], outliers[1]);
  EXPECT_EQ(outliers[0], outliers[2]);
}

// Root mean squares of the hidden states, and entropies of the predictions.
TEST_F(SynthesizeTest, ActivationsNeitherExplodeNorVanishAndPredictionsArePlausible) {
  for (bool tied : {false, true}) {
    ModelShape shape = kTiny;
    shape.n_layers = 12;
    shape.n_embedding = 256;
    shape.n_feed_forward = 704;
    shape.tied_embedding = tied;
    std::string name = tied ? "tied" : "untied";
    expect_written(options(name, shape));
    auto file = converted(name);
    auto model = RuntimeLanguageModel::load(file, {.n_context = 64, .n_threads = 2});
    ASSERT_TRUE(model.ok());
    std::vector<double> squares(shape.n_layers + 1);
    DecoderObservers observers;
    observers.on_hidden = [&](uint32_t layer, size_t, const float* x, size_t n_tokens) {
      for (size_t i = 0; i < n_tokens * shape.n_embedding; ++i) squares[layer] += double(x[i]) * x[i];
    };
    (*model)->decoder().set_observers(observers);
    std::vector<Token> tokens;
    for (Token t = 0; t < 48; ++t) tokens.push_back(t * 5);
    double entropy = 0;
    Status status = (*model)->evaluate(tokens, 0, [&](size_t, std::span<const float> logits) {
      double sum = 0, most = *std::max_element(logits.begin(), logits.end());
      for (float v : logits) sum += std::exp(v - most);
      for (float v : logits) {
        double p = std::exp(v - most) / sum;
        if (p > 0) entropy -= p * std::log(p) / double(tokens.size());
      }
      return Status{};
    });
    ASSERT_TRUE(status.ok());
    EXPECT_GT(entropy, 0.5) << name;
    EXPECT_LT(entropy, 0.9 * std::log(258)) << name;
    EXPECT_GT(squares.back(), 30 * squares.front()) << name;
    EXPECT_LT(squares.back(), 3000 * squares.front()) << name;
    for (uint32_t layer = 1; layer < shape.n_layers; ++layer)
      EXPECT_LT(squares[layer + 1], 4 * squares[layer]) << name << ", layer " << layer;
  }
}

TEST_F(SynthesizeTest, ALargeTokenizerIsCutToTheShape) {
  Metadata tokenizer = *read_tokenizer(folder_ / "source.gguf");
  ModelShape shape = kTiny;
  shape.n_vocabulary = 257;
  SynthesizeOptions o = options("cut", shape);
  auto report = synthesize(o, {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->n_source_tokens, 258u);
  EXPECT_EQ(report->n_tokens, 257u);
  auto file = converted("cut");
  auto cut = Tokenizer::from_metadata(file->metadata());
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(cut->eos(), 256);
  EXPECT_EQ(cut->decode(cut->encode("the thing")), "the thing");
  // The folder's own tokenizer serves as a source as well.
  EXPECT_EQ((*read_tokenizer(folder_ / "cut").value().strings("tokenizer.ggml.tokens"))->size(), 257u);
}

TEST_F(SynthesizeTest, WhatCannotBeDoneIsSaidAndLeavesNothing) {
  fs::create_directory(folder_ / "there");
  std::ofstream(folder_ / "there" / "file") << "kept";
  expect_refused(options("there"), "there");
  expect_refused(options("nowhere/m"), "nowhere/m");
  SynthesizeOptions o = options("m");
  o.n_layers = 4;
  expect_refused(o, "it has 3");
  o = options("m");
  o.tokenizer = folder_ / "missing.gguf";
  expect_refused(o, "missing.gguf");
  ModelShape huge = kTiny;
  huge.n_layers = 1000;
  huge.n_embedding = 1 << 17;
  huge.n_feed_forward = 1 << 20;
  huge.n_heads = 1024;
  expect_refused(options("m", huge), "GB free");
  o = options("m");
  request_interrupt();
  expect_refused(o, "interrupted");
  EXPECT_FALSE(fs::exists(folder_ / "m"));
}

TEST_F(SynthesizeTest, TheTokenizerThatFitsBestIsFound) {
  ASSERT_EQ(find_tokenizer(folder_, 400).value(), folder_ / "source.gguf");
  ModelShape shape = kTiny;
  shape.n_vocabulary = 257;
  expect_written(options("cut", shape));
  EXPECT_EQ(find_tokenizer(folder_, 257).value(), folder_ / "cut");
  EXPECT_EQ(find_tokenizer(folder_, 400).value(), folder_ / "source.gguf");
  fs::create_directory(folder_ / "empty");
  auto none = find_tokenizer(folder_ / "empty", 400);
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("--tokenizer"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
