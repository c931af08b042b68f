#include "recipes/shaped_model.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/temporary_folder.h"
#include "recipes/candidate_store.h"
#include "recipes/tensor_encoding.h"
#include "runtime/decode/runtime_language_model.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

class ShapedModelTest : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TemporaryFolder::create("shaped");
    ASSERT_TRUE(folder.ok());
    folder_.emplace(std::move(*folder));
  }

  std::shared_ptr<const GgufFile> written(const GgufFile& source, const ModelShape& shape,
                                          const KeptChannels& channels) {
    EditStore store(folder_->path(), threads_);
    auto edit = shape_edit(source, shape, channels, store);
    EXPECT_TRUE(edit.ok());
    tiny::TemporaryFile out;
    Status status = write_edited_model(source, *edit, out.path(), {});
    EXPECT_TRUE(status.ok()) << status.error().message;
    auto file = GgufFile::open(out.path());
    return file.ok() ? std::make_shared<const GgufFile>(std::move(*file)) : nullptr;
  }

  static std::vector<float> logits_of(RuntimeLanguageModel& model) {
    std::vector<float> all;
    Status status =
        model.evaluate(std::vector<Token>{1, 7, 42, 9, 9, 80}, 0, [&](size_t, std::span<const float> row) {
          all.insert(all.end(), row.begin(), row.end());
          return Status{};
        });
    EXPECT_TRUE(status.ok());
    return all;
  }
  static std::unique_ptr<RuntimeLanguageModel> loaded(std::shared_ptr<const GgufFile> file) {
    return RuntimeLanguageModel::load(std::move(file), {.n_context = 64, .n_threads = 1}).value();
  }

  ThreadPool threads_{1};
  std::optional<TemporaryFolder> folder_;
};

TEST_F(ShapedModelTest, TheStrongestChannelsAreThoseOfTheLargestOutputs) {
  auto source = tiny::open({.n_layers = 1});
  ASSERT_TRUE(source);
  const GgufTensor& down = *source->find("blk.0.ffn_down.weight");
  ImportanceMatrix importance;
  ImportanceEntry& entry = importance.entries[down.name];
  entry.n_tokens = 1;
  for (size_t c = 0; c < down.n_columns(); ++c) entry.sums.push_back(float(1 + c * 37 % 11));
  std::vector<float> weights(down.n_values());
  decode_rows(down, 0, down.n_rows(), weights.data());
  std::vector<std::pair<double, uint32_t>> strength;
  for (uint32_t c = 0; c < down.n_columns(); ++c) {
    double sum = 0;
    for (size_t r = 0; r < down.n_rows(); ++r)
      sum += double(weights[r * down.n_columns() + c]) * double(weights[r * down.n_columns() + c]);
    strength.push_back({-sum * double(entry.sums[c]), c});
  }
  std::sort(strength.begin(), strength.end());
  std::vector<uint32_t> expected;
  for (size_t i = 0; i < 40; ++i) expected.push_back(strength[i].second);
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(strongest_channels(down, importance, 40), expected);
}

TEST_F(ShapedModelTest, ComputesWhatTheOriginalDoesWithoutThoseParts) {
  for (const char* family : {"llama", "qwen2"}) {
    SCOPED_TRACE(family);
    auto source = tiny::open({.family = family, .n_layers = 6, .biases = family == std::string("qwen2")});
    ASSERT_TRUE(source);
    ModelShape shape;
    shape.dropped_layers = {1};
    shape.dropped_attention = {2};
    shape.dropped_ffn = {3};
    shape.n_feed_forward = {{0, 64}, {5, 32}};
    const KeptChannels channels = kept_channels(*source, shape, {}).value();
    auto shaped = written(*source, shape, channels);
    ASSERT_TRUE(shaped);
    EXPECT_EQ(read_hyperparameters(shaped->metadata())->n_feed_forward,
              (std::vector<uint32_t>{64, 96, 32, 96, 32}));

    auto original = loaded(source), without = loaded(shaped);
    Decoder& decoder = original->decoder();
    decoder.set_layer_dropped(1, true);
    decoder.set_attention_dropped(2, true);
    decoder.set_ffn_dropped(3, true);
    std::map<uint32_t, std::vector<float>> zeroed;
    for (const auto& [layer, kept] : channels) {
      const GgufTensor& down = *source->find("blk." + std::to_string(layer) + ".ffn_down.weight");
      std::vector<float>& values = zeroed[layer];
      values.resize(down.n_values());
      decode_rows(down, 0, down.n_rows(), values.data());
      for (size_t i = 0; i < values.size(); ++i)
        if (!std::binary_search(kept.begin(), kept.end(), uint32_t(i % down.n_columns()))) values[i] = 0;
      ASSERT_TRUE(decoder.replace_weight(down.name, TensorType::F32, std::as_bytes(std::span(values))).ok());
    }
    const std::vector<float> expected = logits_of(*original), got = logits_of(*without);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-3f) << i;
  }
}

TEST_F(ShapedModelTest, WhatIsKnownOfTheSourceIsToldOfTheShapedFile) {
  auto source =
      tiny::open({.n_layers = 4, .n_embedding = 256, .n_feed_forward = {512}, .type = TensorType::F16});
  ASSERT_TRUE(source);
  const Hyperparameters h = read_hyperparameters(source->metadata()).value();
  ModelShape shape;
  shape.dropped_layers = {1};
  shape.dropped_ffn = {2};
  shape.n_feed_forward = {{3, 256}};
  const KeptChannels channels = kept_channels(*source, shape, {}).value();
  auto shaped = written(*source, shape, channels);
  ASSERT_TRUE(shaped);
  const std::vector<uint32_t> layers = layers_left(shape, 4);
  EXPECT_EQ(layers, (std::vector<uint32_t>{0, 2, 3}));
  EXPECT_EQ(source_name(*h.architecture, "blk.2.ffn_up.weight", layers), "blk.3.ffn_up.weight");
  EXPECT_EQ(source_name(*h.architecture, "token_embd.weight", layers), "token_embd.weight");

  ImportanceMatrix importance;
  for (const GgufTensor& tensor : source->tensors()) {
    ImportanceEntry& entry = importance.entries[tensor.name];
    entry.n_tokens = 1;
    for (size_t c = 0; c < tensor.n_columns(); ++c)
      entry.sums.push_back(float(c) + float(tensor.name.size()));
  }
  const ImportanceMatrix own = shaped_importance(importance, *shaped, layers, channels);
  EXPECT_EQ(own.entries.at("blk.1.attn_q.weight").sums, importance.entries.at("blk.2.attn_q.weight").sums);
  const std::vector<float>& of_down = own.entries.at("blk.2.ffn_down.weight").sums;
  ASSERT_EQ(of_down.size(), 256u);
  for (size_t i = 0; i < of_down.size(); ++i)
    EXPECT_EQ(of_down[i], importance.entries.at("blk.3.ffn_down.weight").sums[channels.at(3)[i]]);
  EXPECT_EQ(own.entries.at("token_embd.weight").sums, importance.entries.at("token_embd.weight").sums);

  auto of_source = list_candidates(*source, Codebooks::none).value();
  double number = 1;
  for (TensorCandidates& c : of_source) {
    c.probe_kl = number++;
    for (size_t i = 0; i < c.types.size(); ++i) c.relative_error[i] = number + 0.01 * double(i);
  }
  const auto candidates = shaped_candidates(of_source, *shaped, shape, layers, h, Codebooks::none).value();
  size_t n_narrow = 0;
  for (const TensorCandidates& c : candidates) {
    const std::string name = source_name(*h.architecture, c.tensor->name, layers);
    EXPECT_FALSE(c.layer == 1 && is_of_feed_forward(c.role)) << name;
    auto known = std::find_if(of_source.begin(), of_source.end(),
                              [&](const TensorCandidates& one) { return one.tensor->name == name; });
    ASSERT_NE(known, of_source.end());
    EXPECT_EQ(c.types, known->types) << name;
    EXPECT_EQ(c.relative_error, known->relative_error) << name;
    const bool is_narrow = c.layer == 2 && is_of_feed_forward(c.role);
    n_narrow += is_narrow;
    EXPECT_EQ(c.probe_kl, is_narrow ? known->probe_kl / 2 : known->probe_kl) << name;
  }
  EXPECT_EQ(n_narrow, 3u);
  // Of 29 matrices (7 a layer and the embedding) 7 are gone and 3 stand for nothing.
  EXPECT_EQ(candidates.size(), of_source.size() - 10);
}

TEST_F(ShapedModelTest, AShapeIsReadAsItWasWrittenAndNoneThatTheModelCannotHave) {
  auto source = tiny::open({.n_layers = 4});
  ASSERT_TRUE(source);
  const Hyperparameters h = read_hyperparameters(source->metadata()).value();
  ModelShape shape;
  shape.dropped_layers = {1};
  shape.dropped_attention = {2};
  shape.n_feed_forward = {{3, 64}};
  EXPECT_EQ(shape_from_json(to_json(shape), h), shape);
  EXPECT_TRUE(ModelShape().is_whole() && !shape.is_whole());
  auto changed = [&](const char* key, nlohmann::json value) {
    nlohmann::json j = to_json(shape);
    j[key] = std::move(value);
    return shape_from_json(j, h);
  };
  EXPECT_FALSE(changed("dropped_layers", {4}));
  EXPECT_FALSE(changed("dropped_layers", {0, 1, 2, 3}));
  EXPECT_FALSE(changed("dropped_ffn", "all"));
  EXPECT_FALSE(changed("ffn_widths", {{"3", 97}}));
  EXPECT_FALSE(changed("ffn_widths", {{"one", 64}}));
  EXPECT_FALSE(shape_from_json(nlohmann::json::array(), h));
}

// Of the layers that stay, encodings are the whole model's: the same file, unless weights or importance
// differ.
TEST_F(ShapedModelTest, EncodingsOfTheSameWeightsAreShared) {
  auto source = tiny::open({.type = TensorType::F16});
  ASSERT_TRUE(source);
  ModelShape shape;
  shape.dropped_layers = {0};
  auto shaped = written(*source, shape, {});
  ASSERT_TRUE(shaped);
  const std::string here = "blk.0.ffn_up.weight", there = "blk.1.ffn_up.weight";
  ImportanceMatrix importance, of_shaped;
  ImportanceEntry& entry = importance.entries[there];
  entry.n_tokens = 1;
  entry.sums.assign(source->find(there)->n_columns(), 1);
  entry.sums[0] = 9;
  of_shaped.entries[here] = importance.entries["blk.2.ffn_up.weight"] = entry;
  CandidateStore whole(folder_->path() / "whole", *source, &importance, threads_);
  for (const char* name : {"blk.1.ffn_up.weight", "blk.2.ffn_up.weight"})
    ASSERT_TRUE(whole.get(*source->find(name), TensorType::Q4_0).ok());

  auto n_names = [&](const char* folder, const ImportanceMatrix& own, const std::string& name,
                     TensorType type) {
    CandidateStore store(folder_->path() / folder, *shaped, &own, threads_);
    store.share(whole, {{here, name}});
    auto got = store.get(*shaped->find(here), type);
    CandidateStore alone(folder_->path() / (std::string(folder) + " alone"), *shaped, &own, threads_);
    auto encoded = alone.get(*shaped->find(here), type);
    EXPECT_TRUE(got.ok() && encoded.ok());
    EXPECT_TRUE(std::ranges::equal(*got, *encoded)) << folder;
    return std::filesystem::hard_link_count(CandidateStore::path_of(store.folder(), here, type));
  };
  EXPECT_EQ(n_names("same", of_shaped, there, TensorType::Q4_0), 2u);
  EXPECT_EQ(n_names("not encoded there", of_shaped, there, TensorType::Q5_0), 1u);
  EXPECT_EQ(n_names("another layer", of_shaped, "blk.2.ffn_up.weight", TensorType::Q4_0), 1u);
  EXPECT_EQ(n_names("other importance", {}, there, TensorType::Q4_0), 1u);
}

}  // namespace
}  // namespace edgellm
