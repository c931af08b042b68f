#include "recipes/edited_model.h"

#include <gtest/gtest.h>

#include "runtime/decode/runtime_language_model.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

std::vector<float> logits_of(std::shared_ptr<const GgufFile> file,
                             const std::set<uint32_t>& without_attention) {
  auto model = RuntimeLanguageModel::load(std::move(file), {.n_context = 64, .n_threads = 1});
  if (!model.ok()) {
    ADD_FAILURE() << model.error().message;
    return {};
  }
  for (uint32_t layer : without_attention) (*model)->decoder().set_attention_dropped(layer, true);
  std::vector<Token> tokens = {1, 7, 42, 9, 9, 80};
  std::vector<float> all;
  EXPECT_TRUE((*model)
                  ->evaluate(tokens, 0,
                             [&](size_t, std::span<const float> row) {
                               all.insert(all.end(), row.begin(), row.end());
                               return Status{};
                             })
                  .ok());
  return all;
}

std::shared_ptr<const GgufFile> written(const GgufFile& source, const ModelEdit& edit) {
  tiny::TemporaryFile out;
  Status status = write_edited_model(source, edit, out.path(), {});
  if (!status.ok()) {
    ADD_FAILURE() << status.error().message;
    return nullptr;
  }
  EXPECT_EQ(*edited_file_bytes(source, edit), std::filesystem::file_size(out.path()));
  auto opened = GgufFile::open(out.path());
  EXPECT_TRUE(opened.ok());
  return std::make_shared<const GgufFile>(std::move(*opened));
}

// The cache keeps keys in half precision, in another order of rows for qwen2.
void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 5e-4f) << i;
}

TEST(EditedModel, LayersWithoutAttentionComputeWhatTheOriginalDoesWithoutIt) {
  for (const char* family : {"llama", "qwen2"}) {
    SCOPED_TRACE(family);
    auto source = tiny::open({.family = family, .n_layers = 4, .biases = family == std::string("qwen2")});
    ASSERT_TRUE(source);
    ModelEdit edit;
    edit.dropped_attention = {1, 3};
    auto edited = written(*source, edit);
    ASSERT_TRUE(edited);
    EXPECT_EQ(edited->metadata().string_or("general.architecture", ""), "deci");
    EXPECT_FALSE(edited->find("blk.1.attn_norm.weight"));
    EXPECT_FALSE(edited->find("blk.3.attn_q.bias"));
    expect_near(logits_of(edited, {}), logits_of(source, {1, 3}));
  }
}

TEST(EditedModel, LayersAreRenumberedWithTheShapesTheyKeep) {
  auto source = tiny::open({.n_layers = 4, .n_feed_forward = {96, 128, 160, 192}});
  ASSERT_TRUE(source);
  ModelEdit edit;
  edit.dropped_layers = {1};
  edit.dropped_attention = {2};
  auto edited = written(*source, edit);
  ASSERT_TRUE(edited);
  auto h = read_hyperparameters(edited->metadata());
  ASSERT_TRUE(h.ok()) << h.error().message;
  EXPECT_EQ(h->n_feed_forward, (std::vector<uint32_t>{96, 160, 192}));
  EXPECT_EQ(h->n_heads, (std::vector<uint32_t>{4, 0, 4}));
  EXPECT_EQ(h->n_kv_heads, (std::vector<uint32_t>{2, 0, 2}));
}

TEST(EditedModel, OneNewWidthForAllLayersKeepsTheFamily) {
  auto source = tiny::open({.n_layers = 2, .n_feed_forward = {96}});
  auto narrow = tiny::open({.n_layers = 2, .n_feed_forward = {64}});
  ASSERT_TRUE(source && narrow);
  ModelEdit edit;
  edit.n_feed_forward = {64, 64};
  for (const GgufTensor& tensor : narrow->tensors())
    if (tensor.name.find("ffn_") != std::string::npos)
      edit.tensors[tensor.name] = {tensor.type, tensor.dimensions, tensor.data};
  auto edited = written(*source, edit);
  ASSERT_TRUE(edited);
  EXPECT_EQ(edited->metadata().string_or("general.architecture", ""), "llama");
  EXPECT_EQ(edited->metadata().integer_or("llama.feed_forward_length", 0), 64);
  EXPECT_FALSE(logits_of(edited, {}).empty());
}

TEST(EditedModel, RefusesWhatNoStockLoaderReads) {
  auto source = tiny::open({.n_layers = 3});
  auto gemma = tiny::open({.family = "gemma3", .n_layers = 3});
  ASSERT_TRUE(source && gemma);
  ModelEdit edit;
  edit.dropped_attention = {0};
  EXPECT_FALSE(edited_file_bytes(*source, edit).ok());
  edit.dropped_attention = {1};
  auto refused = edited_file_bytes(*gemma, edit);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("gemma3"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
