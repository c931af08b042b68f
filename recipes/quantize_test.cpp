#include "recipes/quantize.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>

#include "core/base/output_file.h"
#include "recipes/candidate_store.h"
#include "recipes/measured_model.h"
#include "recipes/tensor_encoding.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

tiny::Shape uneven_shape() {
  tiny::Shape shape;
  shape.n_layers = 4;
  shape.n_feed_forward = {96, 128, 160, 192};
  return shape;
}

Result<GgufFile> write_and_open(const tiny::Shape& shape, const tiny::TemporaryFile& file) {
  EDGELLM_RETURN_IF_ERROR(tiny::write(file.path(), tiny::metadata_of(shape), tiny::tensors_of(shape)));
  return GgufFile::open(file.path());
}

std::vector<float> logits_of(std::shared_ptr<const GgufFile> file, const std::set<uint32_t>& dropped) {
  auto model = RuntimeLanguageModel::load(file, {.n_context = 64, .n_threads = 1});
  EXPECT_TRUE(model.ok());
  for (uint32_t layer : dropped) (*model)->decoder().set_layer_dropped(layer, true);
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

TEST(Quantize, PlannedBytesAreTheFilesBytes) {
  tiny::TemporaryFile in, out;
  auto source = write_and_open(uneven_shape(), in);
  ASSERT_TRUE(source.ok());
  ThreadPool threads(2);
  for (const char* name : {"Q8_0", "Q4_0", "Q5_1", "F16"}) {
    auto plan = preset_plan(*source, **find_preset(name));
    ASSERT_TRUE(plan.ok());
    ASSERT_TRUE(quantize_model(*source, *plan, nullptr, out.path(), threads, {}).ok());
    EXPECT_EQ(*planned_file_bytes(*source, *plan), std::filesystem::file_size(out.path())) << name;
  }
}

TEST(Quantize, DroppedLayersAreRenumberedWithTheirMetadata) {
  tiny::TemporaryFile in, out;
  auto source = write_and_open(uneven_shape(), in);
  ASSERT_TRUE(source.ok());
  ThreadPool threads(2);
  QuantizationPlan plan;
  plan.dropped_layers = {1};
  ASSERT_TRUE(quantize_model(*source, plan, nullptr, out.path(), threads, {}).ok());
  auto result = GgufFile::open(out.path());
  ASSERT_TRUE(result.ok());
  auto h = read_hyperparameters(result->metadata());
  ASSERT_TRUE(h.ok()) << h.error().message;
  EXPECT_EQ(h->n_layers, 3u);
  EXPECT_EQ(h->n_feed_forward, (std::vector<uint32_t>{96, 160, 192}));
  EXPECT_EQ(result->find("blk.3.attn_q.weight"), nullptr);
  auto whole = logits_of(std::make_shared<GgufFile>(std::move(*source)), {1});
  auto shorter = logits_of(std::make_shared<GgufFile>(std::move(*result)), {});
  EXPECT_EQ(whole, shorter);
}

TEST(Quantize, LayersOfAlternatingWindowsCannotBeDropped) {
  tiny::TemporaryFile in;
  tiny::Shape shape;
  shape.family = "gemma3";
  shape.sliding_window = 8;
  auto source = write_and_open(shape, in);
  ASSERT_TRUE(source.ok());
  QuantizationPlan plan;
  plan.dropped_layers = {0};
  auto file = planned_file(*source, plan);
  ASSERT_FALSE(file.ok());
  EXPECT_NE(file.error().message.find("gemma3"), std::string::npos);
}

TEST(Quantize, TheOutputMayNotBeTheInput) {
  tiny::TemporaryFile in;
  auto source = write_and_open({}, in);
  ASSERT_TRUE(source.ok());
  ThreadPool threads(1);
  auto plan = preset_plan(*source, **find_preset("Q8_0"));
  EXPECT_FALSE(quantize_model(*source, *plan, nullptr, in.path(), threads, {}).ok());
  EXPECT_TRUE(GgufFile::open(in.path()).ok());
}

TEST(EncodeTensor, NamesTheTensorThatHoldsNaN) {
  std::vector<float> values(4 * 32, 1.0f);
  values[77] = NAN;
  GgufTensor tensor;
  tensor.name = "blk.0.attn_q.weight";
  tensor.dimensions = {32, 4};
  tensor.data = std::as_bytes(std::span(values));
  ThreadPool threads(2);
  EncodeTensorOptions options;
  options.type = TensorType::Q8_0;
  auto encoded = encode_tensor(tensor, options, threads, [](std::span<const std::byte>) { return Status{}; });
  ASSERT_FALSE(encoded.ok());
  EXPECT_EQ(encoded.error().message, "tensor blk.0.attn_q.weight holds NaN or infinite values");
}

TEST(EncodeTensor, MeasuredErrorIsThatOfTheDecodedBytes) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(6 * 64), importance(64);
  for (float& v : values) v = normal(random);
  for (float& w : importance) w = std::exp(normal(random));
  GgufTensor tensor;
  tensor.name = "t";
  tensor.dimensions = {64, 6};
  tensor.data = std::as_bytes(std::span(values));
  ThreadPool threads(2);
  std::vector<std::byte> bytes;
  EncodeTensorOptions options{TensorType::Q4_0, importance, 1, true};
  auto encoded = encode_tensor(tensor, options, threads, [&](std::span<const std::byte> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    return Status{};
  });
  ASSERT_TRUE(encoded.ok());
  std::vector<float> decoded(values.size());
  info(TensorType::Q4_0).decode(bytes.data(), decoded.data(), decoded.size());
  double error = 0;
  for (size_t i = 0; i < values.size(); ++i)
    error += importance[i % 64] * std::pow(double(values[i]) - decoded[i], 2);
  EXPECT_NEAR(encoded->error, error, 1e-6 * error);
  EXPECT_GT(error, 0);
}

TEST(CandidateStore, KeepsWhatIsEncodedAndEncodesAgainWhatIsTorn) {
  tiny::TemporaryFile in;
  auto source = write_and_open({}, in);
  ASSERT_TRUE(source.ok());
  auto folder = in.path().string() + ".store";
  ThreadPool threads(1);
  const GgufTensor& tensor = *source->find("blk.0.attn_q.weight");
  std::vector<std::byte> first;
  {
    CandidateStore store(folder, *source, nullptr, threads);
    auto data = store.get(tensor, TensorType::Q4_0);
    ASSERT_TRUE(data.ok());
    first.assign(data->begin(), data->end());
    EXPECT_EQ(store.get(tensor, tensor.type)->data(), tensor.data.data());
  }
  auto path = std::filesystem::path(folder) / "blk.0.attn_q.weight.Q4_0";
  std::filesystem::resize_file(path, first.size() - 1);
  CandidateStore store(folder, *source, nullptr, threads);
  auto again = store.get(tensor, TensorType::Q4_0);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(std::equal(first.begin(), first.end(), again->begin(), again->end()));
  std::filesystem::remove_all(folder);
}

TEST(MeasuredModel, MeasuresWhatThePlansFileGives) {
  tiny::TemporaryFile in, out;
  auto opened = write_and_open(uneven_shape(), in);
  ASSERT_TRUE(opened.ok());
  auto source = std::make_shared<GgufFile>(std::move(*opened));
  auto folder = in.path().string() + ".store";
  ThreadPool threads(1);
  auto plan = *preset_plan(*source, **find_preset("Q4_0"));
  plan.dropped_layers = {2};
  ASSERT_TRUE(quantize_model(*source, plan, nullptr, out.path(), threads, {}).ok());

  std::vector<Token> tokens(120);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = Token(i * 31 % 90);
  TextWindows text = *cut_windows(tokens, 40, 0, WindowConvention::all_tokens, -1);
  auto model = std::move(*RuntimeLanguageModel::load(source, {.n_context = 64, .n_threads = 1}));
  auto path = in.path().string() + ".reference";
  ASSERT_TRUE(ReferenceLogits::record(*model, text, "key", path).ok());
  auto reference = ReferenceLogits::open(path, text, "key");
  ASSERT_TRUE(reference.ok());

  CandidateStore store(folder, *source, nullptr, threads);
  MeasuredModel measured(*model, *source, store);
  auto in_memory = measured.measure(plan, text, *reference);
  ASSERT_TRUE(in_memory.ok());
  auto file = std::make_shared<GgufFile>(std::move(*GgufFile::open(out.path())));
  auto from_file = std::move(*RuntimeLanguageModel::load(file, {.n_context = 64, .n_threads = 1}));
  auto on_disk = measure_divergence(*from_file, text, *reference);
  ASSERT_TRUE(on_disk.ok());
  EXPECT_GT(in_memory->mean_kl, 1e-4);
  EXPECT_DOUBLE_EQ(in_memory->mean_kl, on_disk->mean_kl);

  measured.restore();
  auto restored = measure_divergence(*model, text, *reference);
  EXPECT_LT(restored->mean_kl, 1e-6);
  std::filesystem::remove_all(folder);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace edgellm
