// Encoding: error no worse than the reference encoder's, values on the grid kept, odd input survived.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "core/base/float16.h"
#include "core/base/test_folders.h"
#include "core/blocks/grid_fit.h"
#include "core/blocks/k_quants.h"
#include "core/blocks/legacy.h"
#include "core/blocks/scale_search.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {
namespace {

constexpr TensorType kSearched[] = {
    TensorType::Q4_0,   TensorType::Q4_1,    TensorType::Q5_0,  TensorType::Q5_1,    TensorType::Q8_0,
    TensorType::Q2_K,   TensorType::Q3_K,    TensorType::Q4_K,  TensorType::Q5_K,    TensorType::Q6_K,
    TensorType::IQ4_NL, TensorType::IQ4_XS,  TensorType::Q2_0,  TensorType::IQ2_XXS, TensorType::IQ2_XS,
    TensorType::IQ2_S,  TensorType::IQ3_XXS, TensorType::IQ3_S, TensorType::IQ1_S,   TensorType::IQ1_M};

std::vector<uint8_t> encode(TensorType type, const std::vector<float>& values,
                            const float* importance = nullptr) {
  std::vector<uint8_t> blocks(row_bytes(type, values.size()).value());
  info(type).encode(values.data(), importance, blocks.data(), values.size());
  return blocks;
}

std::vector<float> decode(TensorType type, const std::vector<uint8_t>& blocks, size_t n_values) {
  std::vector<float> values(n_values);
  info(type).decode(blocks.data(), values.data(), n_values);
  return values;
}

std::vector<float> round_trip(TensorType type, const std::vector<float>& values,
                              const float* importance = nullptr) {
  return decode(type, encode(type, values, importance), values.size());
}

// Heavy-tailed, as weights are.
std::vector<float> random_values(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& value : values) value = 0.02f * normal(random) * std::exp(0.4f * normal(random));
  return values;
}

std::vector<float> random_importance(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> importance(n);
  for (float& value : importance) value = std::exp(1.5f * normal(random));
  return importance;
}

double squared_error(const std::vector<float>& a, const std::vector<float>& b,
                     const std::vector<float>& weights = {}) {
  double error = 0;
  for (size_t i = 0; i < a.size(); ++i)
    error += (weights.empty() ? 1.0 : double(weights[i])) * (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
  return error;
}

double squared_sum(const std::vector<float>& values) {
  return squared_error(values, std::vector<float>(values.size()));
}

TEST(Encode, ErrorIsWhatTheBitsAllow) {
  auto values = random_values(4096, 1);
  for (TensorType type : kSearched) {
    double relative = squared_error(values, round_trip(type, values)) / squared_sum(values);
    // A bit more divides the squared error by about four; the factor is for the tails.
    // to spare.
    EXPECT_LT(relative, 8.0 * std::pow(4.0, -info(type).bits_per_value())) << to_string(type);
  }
}

TEST(Encode, ValuesOnTheFormatsOwnGridAreKept) {
  auto original = random_values(8192, 2);
  for (TensorType type : kSearched) {
    auto values = round_trip(type, original);
    double lost_first = squared_error(original, values),
           lost_second = squared_error(values, round_trip(type, values));
    EXPECT_LE(lost_second, 0.02 * lost_first) << to_string(type);
  }
}

// It is looked for from both ends, weighed or not.
TEST(Encode, ValuesDecodedFromQ2_KComeBackExactlyWhateverTheirImportance) {
  auto values = round_trip(TensorType::Q2_K, random_values(256 * 64, 3));
  auto importance = random_importance(values.size(), 4);
  for (const bool is_weighed : {false, true})
    EXPECT_EQ(round_trip(TensorType::Q2_K, values, is_weighed ? importance.data() : nullptr), values)
        << is_weighed;
}

TEST(Encode, ValuesDecodedFromQ4_KComeBackExactly) {
  // As files have them: some sub-block has the largest scale, some the largest minimum, and not all use every
  // code.
  std::mt19937 random(11);
  auto importance = random_importance(256, 12);
  for (int trial = 0; trial < 50; ++trial) {
    BlockQ4_K block = {};
    block.scale = half_from_float(1e-4f * float(1 + random() % 100) / 50);
    block.min = half_from_float(6e-4f * float(1 + random() % 100) / 50);
    uint8_t scales[8], mins[8];
    for (int sub = 0; sub < 8; ++sub)
      scales[sub] = uint8_t(30 + random() % 33), mins[sub] = uint8_t(20 + random() % 43);
    scales[random() % 8] = mins[random() % 8] = 63;
    pack_scales_and_mins(scales, mins, block.sub_scales);
    for (int i = 0; i < 128; ++i) {
      int lowest = int(random() % 4 == 0), codes = int(random() % 16) | int(random() % 16) << 4;
      block.codes[i] = uint8_t(i % 32 == 0 ? 0xff : i % 32 == 1 ? lowest * 0x11 : codes);
    }
    std::vector<float> values(256);
    decode_q4_k(&block, values.data(), 256);
    double allowed = 1e-9 * squared_sum(values);
    EXPECT_LE(squared_error(values, round_trip(TensorType::Q4_K, values)), allowed) << trial;
    EXPECT_LE(squared_error(values, round_trip(TensorType::Q4_K, values, importance.data())), allowed)
        << trial;
  }
}

TEST(Encode, ImportanceLowersTheWeightedError) {
  auto values = random_values(4096, 3), importance = random_importance(4096, 4);
  for (TensorType type : kSearched) {
    double with = squared_error(values, round_trip(type, values, importance.data()), importance);
    double without = squared_error(values, round_trip(type, values), importance);
    EXPECT_LT(with, without) << to_string(type);
  }
}

TEST(Encode, UnusableImportanceCountsAsNone) {
  auto values = random_values(512, 5);
  std::vector<float> zeros(512, 0.0f), huge(512, std::numeric_limits<float>::infinity());
  for (TensorType type : kSearched) {
    EXPECT_EQ(encode(type, values, zeros.data()), encode(type, values)) << to_string(type);
    EXPECT_EQ(encode(type, values, huge.data()), encode(type, values)) << to_string(type);
  }
}

TEST(Encode, ScaleOfTheImportanceDoesNotMatter) {
  auto values = random_values(512, 6), importance = random_importance(512, 7), scaled = importance;
  for (float& weight : scaled) weight *= 0x1p-40f;
  for (TensorType type : kSearched)
    EXPECT_EQ(encode(type, values, importance.data()), encode(type, values, scaled.data()))
        << to_string(type);
}

TEST(Encode, ZerosStayZeros) {
  std::vector<float> zeros(512, 0.0f);
  for (TensorType type : kSearched) EXPECT_EQ(round_trip(type, zeros), zeros) << to_string(type);
}

TEST(Encode, OneSidedAndConstantRunsAreFitted) {
  std::vector<float> constant(256, 0.75f), positive(256);
  for (size_t i = 0; i < positive.size(); ++i) positive[i] = 1.0f + float(i % 16) / 64.0f;
  for (TensorType type : kSearched) {
    // The only entry of IQ3_S with equal values is of the lowest level, far from the scales that are tried.
    EXPECT_LT(squared_error(constant, round_trip(type, constant)) / squared_sum(constant),
              type == TensorType::IQ3_S ? 2e-2 : 2e-3)
        << to_string(type);
    EXPECT_LT(squared_error(positive, round_trip(type, positive)) / squared_sum(positive), 2e-2)
        << to_string(type);
  }
}

TEST(Encode, ExtremeAndUnusableValuesDoNotCrash) {
  auto values = random_values(512, 8);
  for (float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::max(), 1e-40f, 1e-20f}) {
    auto one = values, all = std::vector<float>(512, bad);
    one[100] = bad;
    for (TensorType type : kSearched) encode(type, one), encode(type, all);
  }
  // What is too large for a half-float scale saturates instead of becoming infinite.
  std::vector<float> huge(256, 1e30f);
  for (TensorType type : kSearched)
    for (float value : round_trip(type, huge)) ASSERT_TRUE(std::isfinite(value)) << to_string(type);
}

TEST(Encode, TinyBlockScaleIsTheBestOfAllHalves) {
  // Brute force over every positive and negative half float as the scale of a Q4_0 block.
  for (unsigned seed = 0; seed < 4; ++seed) {
    auto values = random_values(32, 20 + seed), weights = random_importance(32, 40 + seed);
    double best = 1e30;
    for (uint32_t half = 1; half < 65536; ++half) {
      float scale = float_from_half(uint16_t(half));
      if (!std::isfinite(scale) || std::fabs(scale) > 1.0f || std::fabs(scale) < 1e-4f) continue;
      double error = 0;
      for (size_t i = 0; i < 32; ++i) {
        float code = std::nearbyint(values[i] / scale);
        code = code < -8 ? -8 : code > 7 ? 7 : code;
        error += double(weights[i]) * (values[i] - scale * code) * (values[i] - scale * code);
      }
      best = std::min(best, error);
    }
    EXPECT_LT(squared_error(values, round_trip(TensorType::Q4_0, values, weights.data()), weights),
              1.1 * best);
  }
}

// Least error over every finite half float as the scale of a Q2_0 block.
double least_error_of_q2_0(const std::vector<float>& values, const std::vector<float>& weights) {
  double best = 1e30;
  for (uint32_t half = 1; half < 65536; ++half) {
    float scale = float_from_half(uint16_t(half));
    if (!std::isfinite(scale) || scale == 0) continue;
    double error = 0;
    for (size_t i = 0; i < values.size() && error < best; ++i) {
      float code = std::nearbyint(values[i] / scale);
      double rest = double(values[i]) - double(scale) * std::clamp(code, -1.0f, 2.0f);
      error += double(weights[i]) * rest * rest;
    }
    best = std::min(best, error);
  }
  return best;
}

TEST(Encode, Q2_0FindsTheBestScaleOfEitherSign) {
  int n_negative = 0;
  for (unsigned seed = 0; seed < 12; ++seed) {
    auto values = random_values(64, 60 + seed), weights = random_importance(64, 80 + seed);
    // Lopsided, so that the side with the further level matters.
    for (float& value : values) value += seed % 3 == 0 ? 0.0f : seed % 3 == 1 ? 0.01f : -0.01f;
    auto blocks = encode(TensorType::Q2_0, values, weights.data());
    n_negative += blocks[1] >> 7;
    double error = squared_error(values, decode(TensorType::Q2_0, blocks, 64), weights);
    EXPECT_LE(error, least_error_of_q2_0(values, weights) * (1 + 1e-5)) << seed;
  }
  EXPECT_GE(n_negative, 3);
  EXPECT_LE(n_negative, 9);
}

TEST(Encode, Q2_0IsNeverWorseThanAScaleTakenFromTheLargestValue) {
  auto values = random_values(64 * 200, 13), weights = random_importance(64 * 200, 14);
  auto ours = round_trip(TensorType::Q2_0, values, weights.data());
  for (size_t begin = 0; begin < values.size(); begin += 64) {
    float extreme = 0;
    for (size_t i = begin; i < begin + 64; ++i)
      if (std::fabs(values[i]) > std::fabs(extreme)) extreme = values[i];
    double error = 0;
    for (size_t i = begin; i < begin + 64; ++i)
      error += double(weights[i]) * std::pow(double(values[i]) - double(ours[i]), 2);
    for (float level : {-1.0f, 1.0f, 2.0f}) {
      float scale = float_from_half(finite_half(extreme / level));
      double plain = 0;
      for (size_t i = begin; i < begin + 64; ++i) {
        float code = std::clamp(std::nearbyint(values[i] / scale), -1.0f, 2.0f);
        plain += double(weights[i]) * std::pow(double(values[i]) - double(scale * code), 2);
      }
      ASSERT_LE(error, plain * (1 + 1e-5)) << begin;
    }
  }
}

TEST(GridFit, EveryInstructionSetGivesTheSameBits) {
  auto values = random_values(256, 9), weights = random_importance(256, 10);
  float scales[32], mins[32];
  for (int c = 0; c < 32; ++c)
    scales[c] = c == 7 ? 0.0f : 0.001f * float(c - 12), mins[c] = 0.003f * float(c % 5);
  const GridFit& generic = *find_grid_fit("generic");
  for (const char* name : {"avx2", "avx512"}) {
    const GridFit* other = find_grid_fit(name);
    if (!other) continue;
    auto same = [&](auto zero, auto run) {
      auto a = zero, b = zero;
      run(generic, a), run(*other, b);
      return std::memcmp(&a, &b, sizeof(a)) == 0;
    };
    const float *x = values.data(), *w = weights.data();
    EXPECT_TRUE(same(ScaleMinFit{}, [&](auto& set, auto& out) {
      set.scales_and_mins(x, w, 32, 15, scales, mins, 32, out);
    }));
    for (int n_sub_blocks : {8, 16}) {
      SubBlocks blocks = {x, w, 256 / n_sub_blocks, n_sub_blocks};
      const Levels& levels = n_sub_blocks == 8 ? iq4_levels() : whole_levels(3);
      EXPECT_TRUE(
          same(ScaleFit{}, [&](auto& set, auto& out) { set.scales(x, w, 32, levels, scales, 32, out); }));
      EXPECT_TRUE(same(FittedScales{}, [&](auto& set, auto& out) {
        set.fit_sub_blocks(blocks, levels, out);
      })) << name;
      FittedScales fitted;
      generic.fit_sub_blocks(blocks, levels, fitted);
      EXPECT_TRUE(same(TriedScale{}, [&](auto& set, auto& out) {
        set.try_scale(blocks, levels, fitted, fitted.scale[0] / 20, -32, 31, 4, out);
      })) << name;
      RangeCuts cuts = {8, 2, 12.0f, 0.5f, -0.2f, 0.2f};
      EXPECT_TRUE(same(FittedScalesAndMins{}, [&](auto& set, auto& out) {
        set.fit_sub_blocks_with_min(blocks, 15, cuts, out);
      })) << name;
      FittedScalesAndMins with_min;
      generic.fit_sub_blocks_with_min(blocks, 15, cuts, with_min);
      EXPECT_TRUE(same(TriedScaleAndMin{}, [&](auto& set, auto& out) {
        set.try_scale_and_min(blocks, 15, with_min, with_min.scale[0] / 50, with_min.min[1] / 50, 63, 4, 4, 3,
                              out);
      })) << name;
    }
  }
}

std::vector<float> read_floats(const std::filesystem::path& npy) {
  std::ifstream file(npy, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  if (bytes.size() < 10) return {};
  size_t header = 10 + uint8_t(bytes[8]) + 256u * uint8_t(bytes[9]);
  std::vector<float> values((bytes.size() - header) / 4);
  std::memcpy(values.data(), bytes.data() + header, 4 * values.size());
  return values;
}

TEST(Encode, WeightedErrorIsNotAboveTheReferenceEncoders) {
  auto folder = shared_folder() / "golden";
  std::ifstream file(folder / "quantize_ggml.jsonl");
  auto input = read_floats(folder / "quantize_input.npy"),
       importance = read_floats(folder / "quantize_imatrix.npy");
  if (!file || input.size() != 5 * 512 || importance.size() != 512)
    GTEST_SKIP() << "no goldens at " << folder;
  int n_compared = 0;
  std::string line;
  while (std::getline(file, line)) {
    auto golden = nlohmann::json::parse(line);
    const TensorTypeInfo* row = find_tensor_type(golden["type"].get<std::string>());
    ASSERT_TRUE(row);
    if (!row->encode) continue;
    bool weighted = golden["imatrix"];
    std::string hex = golden["bytes_hex"];
    std::vector<uint8_t> blocks(hex.size() / 2);
    for (size_t i = 0; i < blocks.size(); ++i)
      blocks[i] = uint8_t(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
    auto theirs = decode(row->type, blocks, input.size());
    double our_error = 0, their_error = 0;
    for (size_t begin = 0; begin < input.size(); begin += 512) {
      std::vector<float> values(input.begin() + long(begin), input.begin() + long(begin + 512));
      std::vector<float> reference(theirs.begin() + long(begin), theirs.begin() + long(begin + 512));
      auto weights = weighted ? importance : std::vector<float>();
      our_error += squared_error(
          values, round_trip(row->type, values, weighted ? importance.data() : nullptr), weights);
      their_error += squared_error(values, reference, weights);
    }
    EXPECT_LE(our_error, their_error * (1 + 1e-6))
        << row->name << (weighted ? " with" : " without") << " importance";
    ++n_compared;
  }
  EXPECT_GT(n_compared, 20);
}

}  // namespace
}  // namespace edgellm
