// The codebook formats' search: nearest codewords against brute force, the same on every instruction set, and
// the bytes packed from scales and codes.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "core/base/float16.h"
#include "core/blocks/codebook_grid.h"

namespace edgellm {
namespace {

constexpr TensorType kTypes[] = {TensorType::IQ1_S,  TensorType::IQ1_M, TensorType::IQ2_XXS,
                                 TensorType::IQ2_XS, TensorType::IQ2_S, TensorType::IQ3_XXS,
                                 TensorType::IQ3_S};

// Sixteen groups of eight, value i of group g at [i, g].
struct Groups {
  float values[128], weights[128], scales[16], shifts[16];

  Groups(const CodebookGrid& grid, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    float top =
        *std::max_element(std::begin(codebook(grid.type).levels), std::end(codebook(grid.type).levels));
    for (float& value : values) value = normal(random);
    for (float& weight : weights) weight = std::exp(1.5f * normal(random));
    for (int group = 0; group < 16; ++group) {
      scales[group] = std::exp(0.5f * normal(random)) * 2.0f / top;
      shifts[group] = group % 2 ? 0.125f : -0.125f;
    }
  }
  const float* shifts_for(const CodebookGrid& grid) const {
    return grid.shifts_sub_blocks ? shifts : nullptr;
  }
};

// Least error over all codewords, shifts and allowed signs.
double least_error(const CodebookGrid& grid, const Groups& groups, int group) {
  const Codebook& book = codebook(grid.type);
  bool is_iq1 = book.kind == Codebook::Kind::iq1;
  int n_each = book.kind == Codebook::Kind::iq3 ? 4 : 8;
  int n_entries = int(book.entry_levels.size()) / n_each;
  double best = 1e30;
  for (float shift : {0.125f, -0.125f}) {
    if (is_iq1 && grid.shifts_sub_blocks && shift != groups.shifts[group]) continue;
    double parts[2][2] = {{1e30, 1e30}, {1e30, 1e30}};  // [part, parity of minus signs]
    for (int part = 0; part < 8 / n_each; ++part)
      for (int entry = 0; entry < n_entries; ++entry)
        for (uint32_t signs = 0; signs < (is_iq1 ? 1u : 1u << n_each); ++signs) {
          double error = 0;
          for (int i = 0; i < n_each; ++i) {
            double level =
                double(book.entry_levels[size_t(entry * n_each + i)]) + (is_iq1 ? double(shift) : 0.0);
            int at = (part * n_each + i) * 16 + group;
            double rest = groups.values[at] - groups.scales[group] * (signs >> i & 1 ? -level : level);
            error += groups.weights[at] * rest * rest;
          }
          double& least = parts[part][std::popcount(signs) & 1];
          least = std::min(least, error);
        }
    if (n_each == 8) parts[1][0] = 0;
    double even = std::min(parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]);
    double odd = std::min(parts[0][0] + parts[1][1], parts[0][1] + parts[1][0]);
    best = std::min(best, book.even_signs ? even : std::min(even, odd));
  }
  return best;
}

TEST(CodebookFit, CodewordsAndSignsAreTheBestOfAll) {
  for (TensorType type : kTypes) {
    const CodebookGrid& grid = *find_codebook_grid(type);
    for (unsigned seed = 0; seed < 2; ++seed) {
      Groups groups(grid, 100 + seed);
      GroupCode codes[16];
      float levels[128];
      round_codebook_groups(grid, groups.values, groups.weights, groups.scales, groups.shifts_for(grid), 16,
                            codes, levels);
      for (int group = 0; group < 16; ++group) {
        double error = 0;
        for (int i = 0; i < 8; ++i) {
          int at = i * 16 + group;
          double rest = double(groups.values[at]) - double(groups.scales[group]) * double(levels[at]);
          error += double(groups.weights[at]) * rest * rest;
        }
        EXPECT_LE(error, least_error(grid, groups, group) * (1 + 1e-5))
            << to_string(type) << " group " << group;
      }
    }
  }
}

TEST(CodebookFit, TheNumberOfMinusSignsIsEvenWhereSevenBitsAreStored) {
  for (TensorType type : kTypes) {
    const CodebookGrid& grid = *find_codebook_grid(type);
    if (!codebook(type).even_signs) continue;
    Groups groups(grid, 7);
    GroupCode codes[16];
    float levels[128];
    round_codebook_groups(grid, groups.values, groups.weights, groups.scales, nullptr, 16, codes, levels);
    for (const GroupCode& code : codes) EXPECT_EQ(std::popcount(code.signs) % 2, 0) << to_string(type);
  }
}

TEST(CodebookFit, EveryInstructionSetGivesTheSameBits) {
  struct Rounded {
    GroupCode codes[32];
    float levels[256], error[16], product[16], curvature[16];
  };
  for (TensorType type : kTypes)
    for (int n_sub_blocks : {8, 16}) {
      const CodebookGrid& grid = *find_codebook_grid(type);
      Groups groups(grid, 11), more(grid, 12);
      float values[256], weights[256];
      std::memcpy(values, groups.values, 512), std::memcpy(values + 128, more.values, 512);
      std::memcpy(weights, groups.weights, 512), std::memcpy(weights + 128, more.weights, 512);
      auto run = [&](const CodebookFit& fit, PredictedIntegers& predicted) {
        Rounded rounded;
        std::memset(static_cast<void*>(&rounded), 0, sizeof(rounded));
        fit.round(codebook(type), {values, weights, 256 / n_sub_blocks, n_sub_blocks}, groups.scales,
                  groups.shifts_for(grid),
                  {rounded.codes, rounded.levels, rounded.error, rounded.product, rounded.curvature});
        Roundings roundings;
        roundings.n = 1, roundings.n_sub_blocks = n_sub_blocks;
        std::memcpy(roundings.product, rounded.product, sizeof(rounded.product));
        std::memcpy(roundings.curvature, rounded.curvature, sizeof(rounded.curvature));
        std::fill_n(roundings.energy, 16, 100.0f);
        fit.predict(roundings, groups.scales[0] / 7, 15, predicted);
        return rounded;
      };
      PredictedIntegers wanted = {};
      Rounded generic = run(*find_codebook_fit("generic"), wanted);
      for (const char* name : {"avx2", "avx512"}) {
        const CodebookFit* fit = find_codebook_fit(name);
        if (!fit) continue;
        PredictedIntegers predicted = {};
        Rounded other = run(*fit, predicted);
        EXPECT_EQ(std::memcmp(&generic, &other, sizeof(other)), 0) << to_string(type) << ' ' << name;
        EXPECT_EQ(std::memcmp(&wanted, &predicted, sizeof(predicted)), 0) << to_string(type) << ' ' << name;
      }
    }
}

TEST(CodebookGrid, PackedBlocksDecodeToScaleTimesLevels) {
  std::mt19937 random(5);
  for (TensorType type : kTypes) {
    const CodebookGrid& grid = *find_codebook_grid(type);
    CodebookScales scales;
    scales.scale = half_from_float(0.01f);
    for (int sub = 0; sub < grid.n_sub_blocks; ++sub) {
      scales.integers[sub] = uint8_t(random() % unsigned(grid.highest_integer + 1));
      scales.shift_is_down[sub] = grid.shifts_sub_blocks && random() % 2;
    }
    GroupCode codes[32];
    float wanted[256];
    for (int group = 0; group < 32; group += 16) {
      Groups groups(grid, unsigned(group));
      for (int k = 0; k < 16; ++k) {
        int sub = (group + k) * 8 / grid.n_values_per_sub_block();
        groups.scales[k] = scales.of(grid, sub);
        groups.shifts[k] = scales.shift_is_down[sub] ? -0.125f : 0.125f;
      }
      float levels[128];
      round_codebook_groups(grid, groups.values, groups.weights, groups.scales, groups.shifts_for(grid), 16,
                            codes + group, levels);
      for (int i = 0; i < 128; ++i) wanted[(group + i % 16) * 8 + i / 16] = groups.scales[i % 16] * levels[i];
    }
    std::vector<uint8_t> block(info(type).n_bytes_per_block);
    pack_codebook_block(grid, scales, codes, block.data());
    float decoded[256];
    info(type).decode(block.data(), decoded, 256);
    for (int i = 0; i < 256; ++i)
      ASSERT_NEAR(decoded[i], wanted[i], 1e-6f * std::fabs(wanted[i])) << to_string(type) << ' ' << i;
  }
}

}  // namespace
}  // namespace edgellm
