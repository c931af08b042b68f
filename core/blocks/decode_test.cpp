// Decoding: the table of types, small blocks worked out by hand, and (where the shared goldens are) every
// type bit for bit as the reference decodes it.
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/base/float16.h"
#include "core/base/test_folders.h"
#include "core/blocks/k_quants.h"
#include "core/blocks/plain.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {
namespace {

std::vector<uint8_t> from_hex(const std::string& hex) {
  std::vector<uint8_t> bytes(hex.size() / 2);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = uint8_t(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  return bytes;
}

std::vector<float> decode(TensorType type, const std::vector<uint8_t>& block, size_t n_values) {
  std::vector<float> values(n_values);
  info(type).decode(block.data(), values.data(), n_values);
  return values;
}

TEST(TensorTypeTable, FindsEveryTypeByIdAndByNameInAnyCase) {
  std::set<uint32_t> ids;
  for (const TensorTypeInfo& row : tensor_types()) {
    EXPECT_TRUE(ids.insert(uint32_t(row.type)).second) << row.name;
    EXPECT_EQ(find_tensor_type(uint32_t(row.type)), &row);
    EXPECT_EQ(find_tensor_type(row.name), &row);
    std::string lower(row.name);
    for (char& c : lower) c = char(std::tolower(c));
    EXPECT_EQ(find_tensor_type(lower), &row);
  }
  EXPECT_EQ(ids.size(), 35u);
  EXPECT_EQ(find_tensor_type(4u), nullptr);
  EXPECT_EQ(find_tensor_type(uint32_t(999)), nullptr);
  EXPECT_EQ(find_tensor_type("Q9_K"), nullptr);
}

TEST(TensorTypeTable, BitsPerValueAreTheKnownOnes) {
  EXPECT_DOUBLE_EQ(info(TensorType::Q1_0).bits_per_value(), 1.125);
  EXPECT_DOUBLE_EQ(info(TensorType::IQ1_S).bits_per_value(), 1.5625);
  EXPECT_DOUBLE_EQ(info(TensorType::Q2_K).bits_per_value(), 2.625);
  EXPECT_DOUBLE_EQ(info(TensorType::Q3_K).bits_per_value(), 3.4375);
  EXPECT_DOUBLE_EQ(info(TensorType::IQ4_XS).bits_per_value(), 4.25);
  EXPECT_DOUBLE_EQ(info(TensorType::Q6_K).bits_per_value(), 6.5625);
}

TEST(TensorTypeTable, RowBytesWantsWholeBlocks) {
  EXPECT_EQ(row_bytes(TensorType::Q4_K, 512), 288u);
  EXPECT_EQ(row_bytes(TensorType::Q4_K, 576), std::nullopt);
  EXPECT_EQ(row_bytes(TensorType::Q8_0, 576), 612u);
  EXPECT_EQ(row_bytes(TensorType::F16, 3), 6u);
}

TEST(Decode, Q4_0HoldsTheSecondHalfInTheHighBits) {
  std::vector<uint8_t> block(18, 0x80);
  block[0] = 0x00, block[1] = 0x38;  // 0.5
  block[2] = 0xf1;
  auto values = decode(TensorType::Q4_0, block, 32);
  EXPECT_EQ(values[0], -3.5f);
  EXPECT_EQ(values[16], 3.5f);
  EXPECT_EQ(values[1], -4.0f);
  EXPECT_EQ(values[17], 0.0f);
}

TEST(Decode, Q2_KTakesScaleAndMinFromTheSubBlock) {
  BlockQ2_K block = {};
  block.scale = half_from_float(2.0f);
  block.min = half_from_float(0.25f);
  block.sub_scales[2] = 0x43;  // scale 3, min 4
  block.codes[5] = 0b11100100;
  std::vector<float> values(256);
  decode_q2_k(&block, values.data(), 256);
  EXPECT_EQ(values[5], 0.0f);       // sub-block 0: scale and min 0
  EXPECT_EQ(values[32 + 5], 5.0f);  // 2 * 3 * 1 - 0.25 * 4
  EXPECT_EQ(values[32 + 6], -1.0f);
}

TEST(Decode, Q2_0HasLevelsMinusOneToTwo) {
  std::vector<uint8_t> block(18, 0);
  block[1] = 0x3c;  // 1.0
  block[2] = 0b11100100;
  auto values = decode(TensorType::Q2_0, block, 64);
  EXPECT_EQ(std::vector<float>(values.begin(), values.begin() + 5), (std::vector<float>{-1, 0, 1, 2, -1}));
}

TEST(Decode, Q1_0HasASignABit) {
  std::vector<uint8_t> block(18, 0);
  block[1] = 0x40;  // 2.0
  block[3] = 0x02;
  auto values = decode(TensorType::Q1_0, block, 128);
  for (size_t i = 0; i < 128; ++i) EXPECT_EQ(values[i], i == 9 ? 2.0f : -2.0f);
}

TEST(Decode, ScalePackingOfQ3_KAndQ4_KRoundTrips) {
  uint8_t packed[12], scales[16], mins[8], scales_back[16], mins_back[8];
  for (int i = 0; i < 16; ++i) scales[i] = uint8_t(i * 37 % 64);
  for (int i = 0; i < 8; ++i) mins[i] = uint8_t(i * 29 % 64);
  pack_q3_k_scales(scales, packed);
  unpack_q3_k_scales(packed, scales_back);
  EXPECT_EQ(std::memcmp(scales, scales_back, 16), 0);
  pack_scales_and_mins(scales, mins, packed);
  unpack_scales_and_mins(packed, scales_back, mins_back);
  EXPECT_EQ(std::memcmp(scales, scales_back, 8), 0);
  EXPECT_EQ(std::memcmp(mins, mins_back, 8), 0);
}

TEST(PlainNumbers, HalfFloatsAgreeWithTheScalarConversionForEveryBitPattern) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = uint16_t(i);
  std::vector<float> values(halves.size());
  decode_f16(halves.data(), values.data(), values.size());
  for (size_t i = 0; i < halves.size(); ++i) {
    float expected = float_from_half(halves[i]);
    // Hardware may set the quiet bit of a NaN.
    if (std::isnan(expected))
      ASSERT_TRUE(std::isnan(values[i])) << i;
    else
      ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected)) << i;
  }
  std::vector<uint16_t> back(halves.size());
  encode_f16(values.data(), nullptr, back.data(), values.size());
  for (size_t i = 0; i < halves.size(); ++i) {
    if ((i & 0x7c00) == 0x7c00) continue;
    ASSERT_EQ(back[i], halves[i]) << i;
  }
}

TEST(PlainNumbers, EncodeF16RoundsToEvenAndKeepsWithinTheRange) {
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0x47800000u; bits += 4099) values.push_back(std::bit_cast<float>(bits));
  std::vector<uint16_t> halves(values.size());
  encode_f16(values.data(), nullptr, halves.data(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t expected = half_from_float(values[i]);
    ASSERT_EQ(halves[i], expected == 0x7c00 ? 0x7bff : expected) << values[i];
  }
  float large[3] = {1e6f, -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()};
  encode_f16(large, nullptr, halves.data(), 3);
  EXPECT_EQ(halves[0], 0x7bff);
  EXPECT_EQ(halves[1], 0xfbff);
  EXPECT_EQ(halves[2] & 0x7e00, 0x7e00);
}

TEST(PlainNumbers, AllFiniteSeesOneBadValueAnywhere) {
  std::vector<float> values(5000, 1.5f);
  EXPECT_TRUE(all_finite(values.data(), values.size()));
  EXPECT_TRUE(all_finite(values.data(), 0));
  for (size_t where : {size_t(0), size_t(1023), size_t(1024), size_t(4999)}) {
    values[where] = -std::numeric_limits<float>::infinity();
    EXPECT_FALSE(all_finite(values.data(), values.size())) << where;
    values[where] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(all_finite(values.data(), values.size())) << where;
    values[where] = std::numeric_limits<float>::max();
  }
}

TEST(Decode, EveryTypeIsBitForBitAsTheGoldens) {
  auto path = shared_folder() / "golden" / "dequant.jsonl";
  std::ifstream file(path);
  if (!file) GTEST_SKIP() << "no goldens at " << path;
  std::set<std::string> seen;
  std::string line;
  while (std::getline(file, line)) {
    auto golden = nlohmann::json::parse(line);
    std::string name = golden["type"];
    const TensorTypeInfo* row = find_tensor_type(name);
    ASSERT_TRUE(row) << name;
    EXPECT_EQ(uint32_t(row->type), golden["type_id"].get<uint32_t>());
    auto block = from_hex(golden["block"]), expected = from_hex(golden["dequant_f32_le_hex"]);
    size_t n_values = expected.size() / 4;
    ASSERT_EQ(row_bytes(row->type, n_values), block.size()) << name;
    auto values = decode(row->type, block, n_values);
    for (size_t i = 0; i < n_values; ++i) {
      uint32_t wanted;
      std::memcpy(&wanted, expected.data() + 4 * i, 4);
      ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), wanted) << name << " value " << i;
    }
    seen.insert(name);
  }
  EXPECT_EQ(seen.size(), 24u);
}

}  // namespace
}  // namespace edgellm
