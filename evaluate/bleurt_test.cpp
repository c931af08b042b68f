// The head and the pairs on a stand-in for the encoder; with a real one: tests/golden.
#include "evaluate/bleurt.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

#include "core/base/output_file.h"
#include "core/base/test_folders.h"
#include "evaluate/table_encoder.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

class BleurtTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() / (std::string("edgellm-bleurt-") + test->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    ASSERT_TRUE(write_text_file(folder_ / "config.json", "{}").ok());
    for (size_t i = 0; i < 16; ++i) pooler_.push_back(float(std::sin(double(i) + 0.5)));
  }
  void TearDown() override { fs::remove_all(folder_); }

  struct Tensor {
    std::string name;
    std::vector<uint64_t> shape;
    std::vector<float> values;
  };
  HfFolder folder_with(const std::vector<Tensor>& tensors) {
    std::vector<SafetensorsWriter::Declaration> declared;
    for (const Tensor& tensor : tensors)
      declared.push_back({tensor.name, SafetensorsType::F32, tensor.shape});
    auto writer = SafetensorsWriter::create(folder_, declared);
    EXPECT_TRUE(writer.ok());
    for (const Tensor& tensor : tensors)
      EXPECT_TRUE(writer->write(std::as_bytes(std::span(tensor.values))).ok());
    EXPECT_TRUE(writer->commit().ok());
    auto opened = HfFolder::open(folder_);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return std::move(*opened);
  }
  HfFolder good(const std::string& encoder = "bert") {
    return folder_with({{encoder + ".pooler.dense.weight", {4, 4}, pooler_},
                        {encoder + ".pooler.dense.bias", {4}, bias_},
                        {"classifier.weight", {1, 4}, weights_},
                        {"classifier.bias", {1}, {0.25f}}});
  }
  double expected(const std::vector<float>& hidden) const {
    double score = 0.25;
    for (size_t i = 0; i < 4; ++i) {
      double sum = bias_[i];
      for (size_t j = 0; j < 4; ++j) sum += pooler_[i * 4 + j] * hidden[j];
      score += weights_[i] * std::tanh(sum);
    }
    return score;
  }

  fs::path folder_;
  std::vector<float> pooler_;
  const std::vector<float> bias_ = {0.1f, -0.2f, 0.3f, -0.4f}, weights_ = {1, -2, 0.5f, 3};
};

TEST_F(BleurtTest, HeadIsTanhOfThePoolerAndALinearLayer) {
  const std::vector<float> hidden = {0.5f, -1, 2, 0.75f};
  for (const char* encoder : {"bert", "bleurt", "rembert"}) {
    auto head = BleurtHead::read(good(encoder), 4);
    ASSERT_TRUE(head.ok()) << head.error().message;
    EXPECT_NEAR(head->score(hidden), expected(hidden), 1e-6) << encoder;
  }
}

TEST_F(BleurtTest, TensorFlowsKernelsAreTurnedAround) {
  std::vector<float> kernel(16);
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < 4; ++j) kernel[j * 4 + i] = pooler_[i * 4 + j];
  auto head = BleurtHead::read(folder_with({{"bert/pooler/dense/kernel", {4, 4}, kernel},
                                            {"bert/pooler/dense/bias", {4}, bias_},
                                            {"dense/kernel", {4, 1}, weights_},
                                            {"dense/bias", {1}, {0.25f}}}),
                               4);
  ASSERT_TRUE(head.ok()) << head.error().message;
  const std::vector<float> hidden = {0.5f, -1, 2, 0.75f};
  EXPECT_NEAR(head->score(hidden), expected(hidden), 1e-6);
}

TEST_F(BleurtTest, AnEncoderWithoutHeadIsRefused) {
  auto head = BleurtHead::read(folder_with({{"bert.pooler.dense.weight", {4, 4}, pooler_}}), 4);
  ASSERT_FALSE(head.ok());
  EXPECT_NE(head.error().message.find("has no regression head"), std::string::npos);
  EXPECT_NE(head.error().message.find("give a BLEURT checkpoint"), std::string::npos);
}

TEST_F(BleurtTest, AClassifierOfSeveralClassesIsRefused) {
  auto head = BleurtHead::read(folder_with({{"bert.pooler.dense.weight", {4, 4}, pooler_},
                                            {"bert.pooler.dense.bias", {4}, bias_},
                                            {"classifier.weight", {2, 4}, std::vector<float>(8)},
                                            {"classifier.bias", {2}, {0, 0}}}),
                               4);
  ASSERT_FALSE(head.ok());
  EXPECT_NE(head.error().message.find("'classifier.weight' has the shape [2, 4], wanted [1, 4]"),
            std::string::npos);
}

TEST_F(BleurtTest, AHeadThatIsNotWholeIsRefused) {
  auto head = BleurtHead::read(folder_with({{"bert.pooler.dense.weight", {4, 4}, pooler_},
                                            {"bert.pooler.dense.bias", {4}, bias_},
                                            {"classifier.weight", {1, 4}, weights_}}),
                               4);
  ASSERT_FALSE(head.ok());
  EXPECT_NE(head.error().message.find("no tensor 'classifier.bias'"), std::string::npos);
}

// Keeps what it is given.
class RecordingEncoder : public TableEncoder {
 public:
  using TableEncoder::TableEncoder;
  Status encode(std::span<const TextEncoderInput> sequences, size_t layer, std::vector<float>& out) override {
    for (const auto& one : sequences) {
      ids.emplace_back(one.ids.begin(), one.ids.end());
      segments.emplace_back(one.segments.begin(), one.segments.end());
    }
    layers.push_back(layer);
    return TableEncoder::encode(sequences, layer, out);
  }
  std::vector<std::vector<int32_t>> ids, segments;
  std::vector<size_t> layers;
};

TEST_F(BleurtTest, TheEncoderReadsReferenceThenCandidate) {
  auto tokenizer =
      EncoderTokenizer::from_files({.word_pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\n[\n]\nsep\n"});
  ASSERT_TRUE(tokenizer.ok());
  auto head = BleurtHead::read(good(), 4);
  ASSERT_TRUE(head.ok());
  RecordingEncoder encoder(7);
  std::vector<TextPair> pairs = {{"c d", "a b"}, {"a", "b b b b b b"}, {"c c c c", "d d d d"}, {"[SEP]", ""}};
  auto scores = bleurt_scores(encoder, *tokenizer, *head, pairs);
  ASSERT_TRUE(scores.ok()) << scores.error().message;
  ASSERT_EQ(scores->size(), 4u);
  using Ids = std::vector<int32_t>;
  EXPECT_EQ(encoder.ids[0], (Ids{2, 4, 5, 3, 6, 7, 3}));
  EXPECT_EQ(encoder.segments[0], (Ids{0, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(encoder.ids[1], (Ids{2, 5, 5, 5, 3, 4, 3}));
  EXPECT_EQ(encoder.ids[2], (Ids{2, 7, 7, 3, 6, 6, 3}));
  EXPECT_EQ(encoder.ids[3], (Ids{2, 3, 8, 10, 9, 3}));  // "[SEP]" in a text is letters
  EXPECT_EQ(encoder.layers, (std::vector<size_t>{2}));
  std::vector<float> classification;
  for (size_t k = 0; k < 4; ++k)
    classification.push_back(float(std::sin(12.9898 * 2 + 78.233 * double(k + 2))));
  for (double score : *scores) EXPECT_NEAR(score, expected(classification), 1e-6);
}

TEST_F(BleurtTest, ManyPairsGiveAScoreEach) {
  auto tokenizer = EncoderTokenizer::from_files({.word_pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n"});
  auto head = BleurtHead::read(good(), 4);
  ASSERT_TRUE(tokenizer.ok() && head.ok());
  TableEncoder encoder;
  std::vector<TextPair> pairs(100, {"a", "a a"});
  auto scores = bleurt_scores(encoder, *tokenizer, *head, pairs);
  ASSERT_TRUE(scores.ok());
  EXPECT_EQ(scores->size(), 100u);
  EXPECT_EQ(bleurt_scores(encoder, *tokenizer, *head, {})->size(), 0u);
}

}  // namespace
}  // namespace edgellm
