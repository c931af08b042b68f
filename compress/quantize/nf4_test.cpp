#include "compress/quantize/nf4.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

#include "compress/calibrate/golden_layer.h"

namespace edgellm {
namespace {

std::vector<float> random_values(size_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& v : values) v = 0.1f * normal(random);
  return values;
}

template <class T>
std::vector<T> recorded(const std::string& name) {
  at::Tensor array = golden::load(name).flatten();
  return {array.data_ptr<T>(), array.data_ptr<T>() + array.numel()};
}

TEST(Nf4, IsBitForBitTheOfficialProgram) {
  EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER();
  std::vector<float> values = recorded<float>("W"), decoded(values.size());
  Nf4Values plain = quantize_nf4(values, false);
  EXPECT_EQ(plain.codes, recorded<uint8_t>("bnb_nf4_plain_packed"));
  EXPECT_EQ(plain.scales, recorded<float>("bnb_nf4_plain_absmax"));
  dequantize_nf4(plain, decoded);
  EXPECT_EQ(decoded, recorded<float>("bnb_nf4_plain_dequant"));
}

TEST(Nf4, DoubleQuantizedIsBitForBitTheOfficialProgram) {
  EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER();
  std::vector<float> values = recorded<float>("W"), decoded(values.size());
  Nf4Values doubled = quantize_nf4(values, true);
  EXPECT_EQ(doubled.codes, recorded<uint8_t>("bnb_nf4_dq_packed"));
  EXPECT_EQ(doubled.nested.codes, recorded<uint8_t>("bnb_nf4_dq_absmax_u8"));
  EXPECT_EQ(doubled.nested.scales, recorded<float>("bnb_nf4_dq_absmax2"));
  EXPECT_EQ(doubled.nested.offset, 0.16575440764427185f);
  dequantize_nf4(doubled, decoded);
  EXPECT_EQ(decoded, recorded<float>("bnb_nf4_dq_dequant"));
}

TEST(DynamicMap, IsTheOfficialTable) {
  EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER();
  EXPECT_EQ(std::vector<float>(dynamic_map().begin(), dynamic_map().end()),
            recorded<float>("bnb_dynamic_map"));
}

TEST(DynamicMap, RisesFromBelowMinusPointNineNineToOne) {
  const auto& map = dynamic_map();
  EXPECT_TRUE(std::is_sorted(map.begin(), map.end()));
  EXPECT_LT(map.front(), -0.99f);
  EXPECT_EQ(map.back(), 1.0f);
  EXPECT_EQ(map[127], 0.0f);
}

TEST(Nf4, EveryValueTakesTheNearestLevel) {
  std::vector<float> values = random_values(256, 1), decoded(256);
  Nf4Values q = quantize_nf4(values, false, 32);
  dequantize_nf4(q, decoded);
  for (size_t i = 0; i < values.size(); ++i) {
    float scale = q.scales[i / 32], least = 1e9f;
    for (float level : kNf4Values) least = std::min(least, std::abs(level * scale - values[i]));
    EXPECT_NEAR(std::abs(decoded[i] - values[i]), least, 1e-7f);
  }
}

TEST(Nf4, ZeroStaysZero) {
  std::vector<float> values = random_values(128, 2), decoded(128, 1.0f);
  for (size_t i = 0; i < values.size(); i += 2) values[i] = 0;
  std::fill(values.begin() + 64, values.end(), 0.0f);
  for (bool doubled : {false, true}) {
    dequantize_nf4(quantize_nf4(values, doubled), decoded);
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] == 0) {
        EXPECT_EQ(decoded[i], 0) << i;
      }
    }
  }
}

TEST(Nf4, DoubleQuantizationTakesFourPointOneThreeBits) {
  std::vector<float> values = random_values(1 << 16, 3);
  EXPECT_NEAR(8.0 * double(quantize_nf4(values, true).n_bytes()) / double(values.size()), 4.127, 0.001);
  EXPECT_NEAR(8.0 * double(quantize_nf4(values, false).n_bytes()) / double(values.size()), 4.5, 1e-9);
}

}  // namespace
}  // namespace edgellm
