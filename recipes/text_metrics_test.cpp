// The metrics over a whole encoder folder, on a small one written here.
#include "recipes/text_metrics.h"

#include <cmath>
#include <gtest/gtest.h>

#include "core/base/output_file.h"
#include "core/model_file/safetensors.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

class TextMetricsTest : public testing::Test {
 protected:
  static constexpr uint64_t kHidden = 32, kInner = 64, kVocabulary = 9, kPositions = 16;

  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / (std::string("edgellm-text-metrics-") + test->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\ncat\nmat\nsat\n##s\n");
    write("config.json", config("bert"));
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const char* name, std::string_view text) {
    ASSERT_TRUE(write_text_file(folder_ / name, text).ok());
  }
  static std::string config(const std::string& type, const std::string& made_from = "") {
    return R"({"model_type": ")" + type + R"(", "_name_or_path": ")" + made_from +
           R"(", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 64, "vocab_size": 9, "max_position_embeddings": 16, "type_vocab_size": 2,
              "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0})";
  }

  // BERT's tensors with values that look random; with a head it is a checkpoint of BLEURT.
  void write_weights(bool head) {
    std::vector<SafetensorsWriter::Declaration> tensors;
    std::string prefix = "bert.";
    auto add = [&](const std::string& name, std::vector<uint64_t> shape) {
      tensors.push_back({name, SafetensorsType::F32, std::move(shape)});
    };
    auto linear = [&](const std::string& name, uint64_t n_out, uint64_t n_in) {
      add(name + ".weight", {n_out, n_in});
      add(name + ".bias", {n_out});
    };
    auto norm = [&](const std::string& name) {
      add(name + ".weight", {kHidden});
      add(name + ".bias", {kHidden});
    };
    add(prefix + "embeddings.word_embeddings.weight", {kVocabulary, kHidden});
    add(prefix + "embeddings.position_embeddings.weight", {kPositions, kHidden});
    add(prefix + "embeddings.token_type_embeddings.weight", {2, kHidden});
    norm(prefix + "embeddings.LayerNorm");
    for (const char* layer : {"encoder.layer.0.", "encoder.layer.1."}) {
      for (const char* part : {"query", "key", "value"})
        linear(prefix + layer + "attention.self." + part, kHidden, kHidden);
      linear(prefix + layer + "attention.output.dense", kHidden, kHidden);
      norm(prefix + layer + "attention.output.LayerNorm");
      linear(prefix + layer + "intermediate.dense", kInner, kHidden);
      linear(prefix + layer + "output.dense", kHidden, kInner);
      norm(prefix + layer + "output.LayerNorm");
    }
    if (head) {
      linear(prefix + "pooler.dense", kHidden, kHidden);
      linear("classifier", 1, kHidden);
    }
    auto writer = SafetensorsWriter::create(folder_, tensors);
    ASSERT_TRUE(writer.ok());
    double seed = 0;
    for (const auto& tensor : tensors) {
      uint64_t n_values = 1;
      for (uint64_t n : tensor.shape) n_values *= n;
      std::vector<float> values(n_values);
      bool is_norm = tensor.name.ends_with("LayerNorm.weight");
      for (float& value : values) value = is_norm ? 1.0f : float(0.2 * std::sin(seed += 1.7));
      ASSERT_TRUE(writer->write(std::as_bytes(std::span(values))).ok());
    }
    ASSERT_TRUE(writer->commit().ok());
  }

  std::string error_with(const TextMetricsOptions& options) const {
    auto made = TextMetrics::load(folder_, options);
    return made.ok() ? "no error" : made.error().message;
  }

  fs::path folder_;
  const std::vector<TextPair> pairs_ = {
      {"the cat sat", "the cat sat"}, {"the cats", "the mat"}, {"", "the mat"}};
};

TEST_F(TextMetricsTest, ScoresBothMetricsOverOneFolder) {
  write_weights(true);
  auto metrics = TextMetrics::load(folder_, {.bert_score = true, .bleurt = true});
  ASSERT_TRUE(metrics.ok()) << metrics.error().message;
  auto scores = metrics->bert_scores(pairs_);
  ASSERT_TRUE(scores.ok()) << scores.error().message;
  EXPECT_NEAR((*scores)[0].f1, 1, 1e-5);
  EXPECT_LT((*scores)[1].f1, 0.999);
  EXPECT_EQ((*scores)[2].f1, 0);
  auto bleurt = metrics->bleurt_scores(pairs_);
  ASSERT_TRUE(bleurt.ok()) << bleurt.error().message;
  ASSERT_EQ(bleurt->size(), 3u);
  for (double score : *bleurt) EXPECT_TRUE(std::isfinite(score));
  EXPECT_NE((*bleurt)[0], (*bleurt)[1]);
}

TEST_F(TextMetricsTest, TheLayerIsAskedForOrKnownByNameOrTheLast) {
  write_weights(false);
  auto layer_of = [&](const TextMetricsOptions& options) {
    auto metrics = TextMetrics::load(folder_, options);
    EXPECT_TRUE(metrics.ok()) << metrics.error().message;
    return std::pair(metrics->layer(), metrics->layer_source());
  };
  EXPECT_EQ(layer_of({.bert_score = true}), std::pair(size_t{2}, std::string("the last layer")));
  EXPECT_EQ(layer_of({.bert_score = true, .layer = 0}), std::pair(size_t{0}, std::string("asked for")));
  write("config.json", config("bert", "google/bert_uncased_L-2_H-128_A-2"));
  EXPECT_EQ(layer_of({.bert_score = true}).first, 1u);
  // The table's layer is not there.
  write("config.json", config("bert", "bert-base-uncased"));
  EXPECT_EQ(layer_of({.bert_score = true}).first, 2u);
  EXPECT_NE(error_with({.bert_score = true, .layer = 3}).find("there is no layer 3: the encoder has 2"),
            std::string::npos);
}

TEST_F(TextMetricsTest, BaselineIsThatOfTheLayer) {
  write_weights(false);
  write("baseline.tsv", "LAYER,P,R,F\n1,0.9,0.9,0.9\n2,0.5,0.5,0.5\n");
  auto plain = TextMetrics::load(folder_, {.bert_score = true});
  auto rescaled = TextMetrics::load(folder_, {.bert_score = true, .baseline = folder_ / "baseline.tsv"});
  ASSERT_TRUE(plain.ok() && rescaled.ok());
  auto before = plain->bert_scores(pairs_), after = rescaled->bert_scores(pairs_);
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_NEAR((*after)[1].f1, ((*before)[1].f1 - 0.5) / 0.5, 1e-9);
}

TEST_F(TextMetricsTest, SaysWhatAFolderLacks) {
  EXPECT_NE(error_with({.bert_score = true}).find(folder_.string()), std::string::npos);  // no weights
  write_weights(false);
  EXPECT_NE(error_with({.bleurt = true}).find("it has no regression head"), std::string::npos);
  write("config.json", config("gpt2"));
  EXPECT_NE(error_with({.bert_score = true}).find("gpt2"), std::string::npos);
  write("config.json", config("bert"));
  fs::remove(folder_ / "vocab.txt");
  EXPECT_NE(error_with({.bert_score = true}).find("it has no tokenizer: wanted tokenizer.json"),
            std::string::npos);
}

}  // namespace
}  // namespace edgellm
