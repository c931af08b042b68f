// What is trained is what the file stores: weights are those the decoder gives for the packed bytes, before
// and after every kind of training, and gradients are those of the numbers that are not rounded.
#include "compress/train/grid_matrix.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

#include "core/blocks/tensor_type.h"

namespace edgellm {
namespace {

constexpr int64_t kRows = 5, kColumns = 512;

class GridMatrixTest : public testing::TestWithParam<TensorType> {
 protected:
  void SetUp() override {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    for (float& w : original_) w = 0.02f * normal(random) + 0.003f;
    bytes_.resize(size_t(kRows) * row_bytes(GetParam(), kColumns).value());
    for (int64_t row = 0; row < kRows; ++row)
      info(GetParam())
          .encode(original_.data() + row * kColumns, nullptr,
                  bytes_.data() + size_t(row) * row_bytes(GetParam(), kColumns).value(), kColumns);
  }

  GridMatrix matrix() const {
    auto unpacked = GridMatrix::unpack(std::as_bytes(std::span(bytes_)), GetParam(), kRows, kColumns);
    EXPECT_TRUE(unpacked.ok()) << unpacked.error().message;
    return std::move(*unpacked);
  }

  static void expect_decoded(const at::Tensor& weights, const std::vector<uint8_t>& bytes) {
    std::vector<float> decoded(size_t(kRows * kColumns));
    info(GetParam()).decode(bytes.data(), decoded.data(), decoded.size());
    at::Tensor flat = weights.detach().contiguous();
    EXPECT_EQ(std::memcmp(flat.data_ptr<float>(), decoded.data(), decoded.size() * sizeof(float)), 0);
  }

  at::Tensor original() const { return at::tensor(original_).view({kRows, kColumns}); }

  std::vector<float> original_ = std::vector<float>(size_t(kRows * kColumns));
  std::vector<uint8_t> bytes_;
};

TEST_P(GridMatrixTest, WeightsAreDecodedBytesAndPackGivesThemBack) {
  GridMatrix m = matrix();
  expect_decoded(m.weights(), bytes_);
  EXPECT_EQ(m.pack(), bytes_);
}

TEST_P(GridMatrixTest, WhatIsTrainedIsWhatThePackedBytesDecodeTo) {
  GridMatrix m = matrix();
  std::vector<at::Tensor> trained = m.train_block_scales();
  for (const at::Tensor& t : m.train_run_scales()) trained.push_back(t);
  trained.push_back(m.train_levels(original()));
  expect_decoded(m.weights(), bytes_);  // not moved yet
  {
    at::NoGradGuard no_grad;
    at::manual_seed(1);
    for (at::Tensor& t : trained) t.add_(at::randn(t.sizes()) * (t.size(1) == kColumns ? 0.7 : 0.2));
  }
  at::Tensor weights = m.weights();
  ASSERT_TRUE(weights.requires_grad());
  std::vector<uint8_t> packed = m.pack();
  EXPECT_NE(packed, bytes_);
  expect_decoded(weights, packed);
  m.settle();
  EXPECT_FALSE(m.weights().requires_grad());
  expect_decoded(m.weights(), packed);
  EXPECT_EQ(m.pack(), packed);
}

// The loss sum(c * W): the gradient of a relative change of a scale is sum(c * (W + min)), that of a minimum
// -sum(c * min), of a level c times the scale of its run.
TEST_P(GridMatrixTest, GradientsOfScalesAreThoseOfTheUnroundedNumbers) {
  GridMatrix m = matrix();
  at::manual_seed(2);
  at::Tensor c = at::randn({kRows, kColumns});
  std::vector<at::Tensor> trained = m.train_block_scales();
  (m.weights() * c).sum().backward();
  at::Tensor sum = at::zeros({kRows, kColumns / int64_t(info(GetParam()).n_values_per_block)});
  for (const at::Tensor& t : trained) sum = sum + t.grad();
  // A relative change of both is one of the weights.
  at::Tensor wanted = (m.weights() * c).detach().view({kRows, sum.size(1), -1}).sum(-1);
  EXPECT_TRUE(at::allclose(sum, wanted, 2e-3, 1e-5)) << (sum - wanted).abs().max().item<float>();
}

// Levels one further than they are, where there are such, are found again from the gradients alone.
TEST_P(GridMatrixTest, LevelsMoveToWhereTheLossIsLeast) {
  GridMatrix moved = matrix(), m = matrix();
  moved.train_levels(original()).detach().add_(1);
  at::Tensor target = moved.weights().detach(), places = m.train_levels(original());
  ASSERT_GT((m.weights() - target).square().sum().item<double>(), 0);
  for (int step = 0; step < 20; ++step) {
    if (places.grad().defined()) places.mutable_grad().zero_();
    (m.weights() - target).square().sum().backward();
    places.detach().sub_(places.grad().sign() * 0.1);
  }
  expect_decoded(m.weights(), moved.pack());
  expect_decoded(m.weights(), m.pack());
}

std::vector<TensorType> all_types() {
  std::vector<TensorType> types;
  for (const BlockGrid* grid : block_grids()) types.push_back(grid->type);
  return types;
}

INSTANTIATE_TEST_SUITE_P(Types, GridMatrixTest, testing::ValuesIn(all_types()),
                         [](const auto& i) { return std::string(to_string(i.param)); });

TEST(GridMatrix, RefusesWhatHasNoGridOfValuesAndBytesOfAnotherSize) {
  std::vector<std::byte> bytes(144 * 2);
  auto codebook = GridMatrix::unpack(bytes, TensorType::IQ2_XS, 1, 256);
  ASSERT_FALSE(codebook.ok());
  EXPECT_NE(codebook.error().message.find("IQ2_XS"), std::string::npos);
  EXPECT_TRUE(GridMatrix::unpack(bytes, TensorType::Q4_K, 2, 256).ok());
  EXPECT_FALSE(GridMatrix::unpack(bytes, TensorType::Q4_K, 3, 256).ok());
  EXPECT_FALSE(GridMatrix::unpack(bytes, TensorType::Q4_K, 2, 200).ok());
}

}  // namespace
}  // namespace edgellm
