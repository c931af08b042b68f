// Codebook formats in training: weights are what the decoder gives for the packed bytes, whatever the scales
// became, and only the scales change.
#include "compress/train/codebook_matrix.h"

#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace edgellm {
namespace {

constexpr int64_t kRows = 5, kColumns = 512, kBlocks = 2;

class CodebookMatrixTest : public testing::TestWithParam<TensorType> {
 protected:
  void SetUp() override {
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    std::vector<float> original(size_t(kRows * kColumns));
    for (float& w : original) w = 0.02f * normal(random);
    const size_t n_row_bytes = row_bytes(GetParam(), kColumns).value();
    bytes_.resize(size_t(kRows) * n_row_bytes);
    for (size_t row = 0; row < size_t(kRows); ++row)
      info(GetParam())
          .encode(original.data() + row * kColumns, nullptr, bytes_.data() + row * n_row_bytes, kColumns);
  }

  std::unique_ptr<TrainedMatrix> matrix() const {
    return unpack_trained_matrix(std::as_bytes(std::span(bytes_)), GetParam(), kRows, kColumns).value();
  }

  static void expect_decoded(const at::Tensor& weights, const std::vector<uint8_t>& bytes) {
    std::vector<float> decoded(size_t(kRows * kColumns));
    info(GetParam()).decode(bytes.data(), decoded.data(), decoded.size());
    at::Tensor flat = weights.detach().contiguous();
    EXPECT_EQ(std::memcmp(flat.data_ptr<float>(), decoded.data(), decoded.size() * sizeof(float)), 0);
  }

  std::vector<uint8_t> bytes_;
};

TEST_P(CodebookMatrixTest, WeightsAreDecodedBytesAndPackGivesThemBack) {
  auto m = matrix();
  EXPECT_EQ(m->type(), GetParam());
  expect_decoded(m->weights(), bytes_);
  EXPECT_EQ(m->pack(), bytes_);
}

TEST_P(CodebookMatrixTest, ChangedScalesAreWhatThePackedBytesDecodeTo) {
  auto m = matrix();
  at::manual_seed(1);
  std::vector<at::Tensor> changes = {0.2 * at::randn({kRows, kBlocks})};
  m->use_block_changes(changes);
  std::vector<uint8_t> packed = m->pack();
  EXPECT_NE(packed, bytes_);
  expect_decoded(m->weights(), packed);
  // A change back is one to the very bytes of before.
  changes[0].zero_();
  EXPECT_EQ(m->pack(), bytes_);
}

TEST_P(CodebookMatrixTest, TheGradientOfAChangeIsThatOfTheWeights) {
  auto m = matrix();
  at::manual_seed(2);
  at::Tensor c = at::randn({kRows, kColumns});
  std::vector<at::Tensor> changes = {at::zeros({kRows, kBlocks}).set_requires_grad(true)};
  m->use_block_changes(changes);
  (m->weights() * c).sum().backward();
  at::Tensor wanted = (m->weights() * c).detach().view({kRows, kBlocks, -1}).sum(-1);
  EXPECT_TRUE(at::allclose(changes[0].grad(), wanted, 1e-3, 1e-5));
}

INSTANTIATE_TEST_SUITE_P(Types, CodebookMatrixTest,
                         testing::Values(TensorType::IQ1_S, TensorType::IQ1_M, TensorType::IQ2_XXS,
                                         TensorType::IQ2_XS, TensorType::IQ2_S, TensorType::IQ3_XXS,
                                         TensorType::IQ3_S),
                         [](const auto& i) { return std::string(to_string(i.param)); });

TEST(CodebookMatrix, RefusesBytesOfAnotherSizeAndOtherTypes) {
  std::vector<std::byte> bytes(2 * info(TensorType::IQ2_XS).n_bytes_per_block);
  EXPECT_TRUE(CodebookMatrix::unpack(bytes, TensorType::IQ2_XS, 2, 256).ok());
  EXPECT_FALSE(CodebookMatrix::unpack(bytes, TensorType::IQ2_XS, 3, 256).ok());
  EXPECT_FALSE(CodebookMatrix::unpack(bytes, TensorType::IQ2_XS, 2, 200).ok());
  EXPECT_FALSE(CodebookMatrix::unpack(bytes, TensorType::Q4_K, 2, 256).ok());
}

}  // namespace
}  // namespace edgellm
