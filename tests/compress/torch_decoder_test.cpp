// The trainable model against the runtime, token by token, on small models of every family.
#include "compress/torch_model/torch_decoder.h"

#include <gtest/gtest.h>

#include "runtime/graph/decoder.h"
#include "tests/compress/tiny_torch.h"

namespace edgellm {
namespace {

using tiny::kGemma3, tiny::kLlama, tiny::kQwen2, tiny::Shape, tiny::value_of;

at::Tensor logits_of(LanguageModel& model, const std::vector<Token>& tokens, size_t first_row = 0) {
  std::vector<at::Tensor> rows;
  Status status = model.evaluate(tokens, first_row, [&](size_t position, std::span<const float> logits) {
    EXPECT_EQ(position, first_row + rows.size());
    rows.push_back(at::empty({int64_t(logits.size())}, at::kFloat));
    std::copy(logits.begin(), logits.end(), rows.back().data_ptr<float>());
    return Status();
  });
  EXPECT_TRUE(status.ok()) << status.error().message;
  return at::stack(rows);
}

class RuntimeModel : public LanguageModel {
 public:
  explicit RuntimeModel(const std::shared_ptr<const GgufFile>& file)
      : decoder(value_of(Decoder::load(file, {.n_threads = 2, .n_batch = 16, .n_logit_rows = 4}))) {}
  size_t n_vocabulary() const override { return decoder->hyperparameters().n_vocabulary; }
  Status evaluate(std::span<const Token> tokens, size_t first_row, const LogitsSink& sink) override {
    KvCache cache =
        value_of(KvCache::create(decoder->hyperparameters(), KvType::f16, 64, decoder->options().n_batch));
    return decoder->evaluate(tokens, cache, first_row, sink);
  }
  std::unique_ptr<Decoder> decoder;
};

// The runtime keeps keys and values in half precision.
constexpr double kTolerance = 4e-3;

void expect_equals_runtime(const std::shared_ptr<const GgufFile>& file) {
  ASSERT_TRUE(file);
  RuntimeModel runtime(file);
  auto torch = tiny::load_torch(file);
  auto tokens = tiny::random_tokens(40, uint32_t(runtime.n_vocabulary()));
  EXPECT_LE(tiny::relative_difference(logits_of(*torch, tokens), logits_of(runtime, tokens)), kTolerance);
}

TEST(TorchDecoder, LlamaEqualsTheRuntime) {
  expect_equals_runtime(tiny::open(kLlama));
}
TEST(TorchDecoder, Qwen2WithBiasesEqualsTheRuntime) {
  expect_equals_runtime(tiny::open(kQwen2));
}
TEST(TorchDecoder, Gemma3WithSlidingWindowEqualsTheRuntime) {
  expect_equals_runtime(tiny::open(kGemma3));
}

TEST(TorchDecoder, UntiedHeadEqualsTheRuntime) {
  Shape shape = kLlama;
  shape.tied = false;
  expect_equals_runtime(tiny::open(shape));
}

TEST(TorchDecoder, FactorsAndScalingsOfRopeEqualTheRuntime) {
  Shape shape = kLlama;
  shape.rope_factors = true;
  expect_equals_runtime(tiny::open(shape));
  for (const char* kind : {"linear", "yarn"}) {
    for (Shape scaled : {kQwen2, kGemma3}) {
      SCOPED_TRACE(scaled.family + " " + kind);
      scaled.rope_scaling = kind;
      expect_equals_runtime(tiny::open(scaled));
    }
  }
}

TEST(TorchDecoder, SoftCapsEqualTheRuntime) {
  Metadata metadata = tiny::metadata_of(kGemma3);
  metadata.set("gemma3.attn_logit_softcapping", MetadataValue::of_float32(2.0f));
  metadata.set("gemma3.final_logit_softcapping", MetadataValue::of_float32(3.0f));
  expect_equals_runtime(tiny::open(metadata, tiny::tensors_of(kGemma3)));
}

TEST(TorchDecoder, PartlyTurnedHeadsEqualTheRuntime) {
  for (const Shape& shape : {kLlama, kQwen2}) {
    Metadata metadata = tiny::metadata_of(shape);
    metadata.set(shape.family + ".rope.dimension_count", MetadataValue::of_uint32(shape.head_width / 2));
    expect_equals_runtime(tiny::open(metadata, tiny::tensors_of(shape)));
  }
}

TEST(TorchDecoder, FeedForwardWidthsMayDifferByLayer) {
  Shape shape = kLlama;
  shape.n_feed_forward = {96, 32, 160};
  expect_equals_runtime(tiny::open(shape));
}

TEST(TorchDecoder, HalfWeightsEqualTheRuntime) {
  Shape shape = kQwen2;
  shape.type = TensorType::F16;
  expect_equals_runtime(tiny::open(shape));
}

TEST(TorchDecoder, HiddenStatesOfEveryLayerEqualTheRuntime) {
  for (const Shape& shape : {kLlama, kQwen2, kGemma3}) {
    SCOPED_TRACE(shape.family);
    auto file = tiny::open(shape);
    RuntimeModel runtime(file);
    auto tokens = tiny::random_tokens(16, shape.n_vocabulary);
    std::vector<at::Tensor> wanted;
    runtime.decoder->set_observers(
        {.on_product_input = {}, .on_hidden = [&](uint32_t, size_t, const float* x, size_t n_tokens) {
           wanted.push_back(at::empty({int64_t(n_tokens), 64}, at::kFloat));
           std::copy_n(x, n_tokens * 64, wanted.back().data_ptr<float>());
         }});
    ASSERT_TRUE(runtime.evaluate(tokens, tokens.size(), {}).ok());
    ASSERT_EQ(wanted.size(), shape.n_layers + 1u);
    auto model = value_of(TorchModel::open(file, {}));
    at::Tensor hidden = value_of(model->embed({&tokens, 1}));
    TorchPositions positions = model->positions(16);
    for (uint32_t layer = 0; layer <= shape.n_layers; ++layer) {
      EXPECT_LE(tiny::relative_difference(hidden[0], wanted[layer]), kTolerance) << "layer " << layer;
      if (layer < shape.n_layers) hidden = value_of(model->load_layer(layer)).forward(hidden, positions);
    }
  }
}

TEST(TorchDecoder, DroppedHalvesEqualTheRuntime) {
  auto file = tiny::open(kGemma3);
  RuntimeModel runtime(file);
  auto torch = tiny::load_torch(file);
  runtime.decoder->set_attention_dropped(2, true);
  torch->layers()[2].set_attention_dropped(true);
  runtime.decoder->set_ffn_dropped(4, true);
  torch->layers()[4].set_ffn_dropped(true);
  auto tokens = tiny::random_tokens(24, kGemma3.n_vocabulary);
  EXPECT_LE(tiny::relative_difference(logits_of(*torch, tokens), logits_of(runtime, tokens)), kTolerance);
}

TEST(TorchDecoder, ProductInputsEqualTheRuntime) {
  auto file = tiny::open(kQwen2);
  RuntimeModel runtime(file);
  auto tokens = tiny::random_tokens(12, kQwen2.n_vocabulary);
  std::map<std::pair<TensorRole, uint32_t>, at::Tensor> wanted, got;
  runtime.decoder->set_observers(
      {.on_product_input =
           [&](TensorRole role, int32_t layer, const float* x, size_t n_tokens, size_t n_columns) {
             if (layer < 0 || product_input_role(role) != role) return;
             at::Tensor copy = at::empty({int64_t(n_tokens), int64_t(n_columns)}, at::kFloat);
             std::copy_n(x, n_tokens * n_columns, copy.data_ptr<float>());
             wanted[{role, uint32_t(layer)}] = copy;
           },
       .on_hidden = {}});
  ASSERT_TRUE(runtime.evaluate(tokens, tokens.size(), {}).ok());
  auto model = value_of(TorchModel::open(file, {}));
  at::Tensor hidden = value_of(model->embed({&tokens, 1}));
  for (uint32_t layer = 0; layer < kQwen2.n_layers; ++layer)
    hidden = value_of(model->load_layer(layer))
                 .forward(hidden, model->positions(12), [&](TensorRole role, const at::Tensor& x) {
                   got[{role, layer}] = x;
                 });
  ASSERT_EQ(got.size(), 4u * kQwen2.n_layers);
  ASSERT_EQ(wanted.size(), got.size());
  for (const auto& [key, x] : got)
    EXPECT_LE(tiny::relative_difference(x, wanted[key]), kTolerance) << to_string(key.first);
}

TEST(TorchDecoder, SequencesOfABatchDoNotSeeEachOther) {
  auto torch = tiny::load_torch(tiny::open(kGemma3));
  auto windows = tiny::random_windows(3, 20, kGemma3.n_vocabulary);
  at::Tensor together = torch->forward(value_of(torch->model().embed(windows)));
  for (size_t i = 0; i < windows.size(); ++i) {
    at::Tensor alone = torch->forward(value_of(torch->model().embed({&windows[i], 1})));
    EXPECT_LE(tiny::relative_difference(together[int64_t(i)], alone[0]), 1e-5);
  }
}

TEST(TorchDecoder, BrainFloatProductsStayNearFloat) {
  auto file = tiny::open(kLlama);
  auto exact = tiny::load_torch(file);
  auto rounded = value_of(TorchDecoder::load(file, {at::kCPU, at::kBFloat16}));
  EXPECT_EQ(rounded->layers()[0].parameter(TensorRole::ffn_up).scalar_type(), at::kBFloat16);
  EXPECT_EQ(rounded->layers()[0].parameter(TensorRole::ffn_norm).scalar_type(), at::kFloat);
  auto tokens = tiny::random_tokens(24, kLlama.n_vocabulary);
  EXPECT_LE(tiny::relative_difference(logits_of(*rounded, tokens), logits_of(*exact, tokens)), 5e-2);
}

TEST(TorchDecoder, WeightsInFloatMayBeMultipliedAsBrainFloat) {
  auto file = tiny::open(kLlama);
  auto exact = tiny::load_torch(file);
  auto rounded = value_of(TorchDecoder::load(file, {at::kCPU, at::kFloat, at::kBFloat16}));
  EXPECT_TRUE(at::equal(rounded->layers()[0].parameter(TensorRole::ffn_up),
                        exact->layers()[0].parameter(TensorRole::ffn_up)));
  auto tokens = tiny::random_tokens(24, kLlama.n_vocabulary);
  const double difference = tiny::relative_difference(logits_of(*rounded, tokens), logits_of(*exact, tokens));
  EXPECT_GT(difference, 1e-6) << "products are in float";
  EXPECT_LE(difference, 5e-2);
}

TEST(TorchDecoder, GivesRowsFromTheFirstOneAskedFor) {
  auto torch = tiny::load_torch(tiny::open(kLlama));
  auto tokens = tiny::random_tokens(20, kLlama.n_vocabulary);
  at::Tensor all = logits_of(*torch, tokens), last = logits_of(*torch, tokens, 17);
  ASSERT_EQ(last.size(0), 3);
  EXPECT_LE(tiny::relative_difference(last, all.narrow(0, 17, 3)), 1e-5);
}

TEST(TorchDecoder, RefusesTokensThatDoNotFit) {
  auto torch = tiny::load_torch(tiny::open(kLlama));
  auto message = [&](const std::vector<std::vector<Token>>& windows) {
    auto hidden = torch->model().embed(windows);
    return hidden.ok() ? std::string() : hidden.error().message;
  };
  EXPECT_NE(message({{1, -1}}).find("-1"), std::string::npos);
  EXPECT_NE(message({{1, 96}}).find("96"), std::string::npos);
  EXPECT_NE(message({{1, 2}, {1}}).find("one length"), std::string::npos);
  EXPECT_NE(message({}).find("at least one"), std::string::npos);
  EXPECT_NE(message({{}}).find("at least one"), std::string::npos);
  auto too_many = tiny::random_tokens(257, kLlama.n_vocabulary);
  EXPECT_FALSE(torch->evaluate(too_many, 0, [](size_t, std::span<const float>) { return Status(); }).ok());
}

TEST(TorchDecoder, LoadNamesTheTensorThatIsMissing) {
  auto tensors = tiny::tensors_of(kLlama);
  std::erase_if(tensors, [](const tiny::Tensor& t) { return t.declaration.name == "blk.1.ffn_up.weight"; });
  auto model = TorchModel::open(tiny::open(tiny::metadata_of(kLlama), tensors), {});
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.error().message.find("'blk.1.ffn_up.weight' is missing"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
