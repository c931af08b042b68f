// Blocks with frozen scales: what is said to be decoded is what the bytes decode to, feedback is that of the
// formula, and nothing that is called an improvement makes the error larger.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

#include "core/blocks/block_rounding.h"
#include "core/blocks/exact_zero.h"
#include "core/blocks/iq4.h"
#include "core/blocks/panel_problem.h"

namespace edgellm {
namespace {

using Problem = PanelProblem;
constexpr size_t kRows = Problem::n_rows, kStride = Problem::stride;

constexpr TensorType kTypes[] = {TensorType::Q4_0, TensorType::Q4_1, TensorType::Q5_0,   TensorType::Q5_1,
                                 TensorType::Q8_0, TensorType::Q2_K, TensorType::Q3_K,   TensorType::Q4_K,
                                 TensorType::Q5_K, TensorType::Q6_K, TensorType::IQ4_NL, TensorType::IQ4_XS,
                                 TensorType::Q2_0};
struct Rounded {
  BlockPanel panel;
  std::vector<float> errors = std::vector<float>(Problem::n * kStride);

  Rounded(TensorType type, const Problem& problem, const GridTrials& trials,
          const BlockRounding& rounding = block_rounding(), bool keeps_zeros = false)
      : panel(*find_block_grid(type), Problem::n / size_t(find_block_grid(type)->n_values), kRows) {
    std::vector<float> targets = problem.values;
    if (keeps_zeros) {
      panel.kept.assign(panel.levels.size(), 1);
      panel.keep_zeros(problem.values.data(), kStride, 0, kStride);
    }
    for (size_t block = 0; block < panel.n_blocks(); ++block) {
      const size_t first = block * size_t(panel.grid().n_values);
      std::vector<float> compensated(size_t(panel.grid().n_values) * kStride);
      rounding.compensate({Problem::n, first, size_t(panel.grid().n_values)}, problem.factors(),
                          problem.values.data(), targets.data(), keeps_zeros ? panel.kept.data() : nullptr,
                          kStride, 0, kStride, compensated.data());
      panel.fit(block, compensated.data(), kStride, problem.importance.data() + first, 0, kStride);
      rounding.round(panel, block, problem.factors(), trials, problem.values.data(), targets.data(),
                     errors.data(), kStride, 0, kStride);
    }
  }

  std::vector<uint8_t> bytes() const {
    const size_t n_row_bytes = row_bytes(panel.grid().type, Problem::n).value();
    std::vector<uint8_t> all(kRows * n_row_bytes);
    panel.pack(all.data(), n_row_bytes, 0, kRows);
    return all;
  }

  // Bytes, levels and errors all say the same.
  void expect_consistent(const Problem& problem, float tolerance) const {
    const TensorTypeInfo& type = info(panel.grid().type);
    std::vector<float> decoded(Problem::n * kStride), from_bytes(kRows * Problem::n);
    panel.decode(decoded.data(), kStride, 0, kRows);
    type.decode(bytes().data(), from_bytes.data(), from_bytes.size());
    for (size_t r = 0; r < kRows; ++r)
      for (size_t i = 0; i < Problem::n; ++i) {
        ASSERT_EQ(decoded[i * kStride + r], from_bytes[r * Problem::n + i])
            << type.name << " " << r << " " << i;
        ASSERT_NEAR(errors[i * kStride + r], problem.values[i * kStride + r] - decoded[i * kStride + r],
                    tolerance)
            << type.name;
      }
  }

  double error(const Problem& problem) const {
    double sum = 0;
    for (size_t r = 0; r < kRows; ++r) sum += problem.error(errors, r);
    return sum;
  }
};

void improve(Rounded& rounded, const Problem& problem, const GridTrials& trials,
             const BlockRounding& rounding = block_rounding()) {
  const std::vector<float> gradients = problem.gradients(rounded.errors);
  RunParts parts(problem, size_t(rounded.panel.grid().n_run_values));
  rounding.improve(rounded.panel, parts.curvature(problem), trials, 2, gradients.data(),
                   rounded.errors.data(), kStride, 0, kStride);
}

TEST(BlockPanel, BytesDecodeToTheDecodedValuesBitForBit) {
  Problem problem(1);
  for (TensorType type : kTypes) {
    Rounded rounded(type, problem, {1, 1, 0.03f});
    rounded.expect_consistent(problem, 0.0f);
    improve(rounded, problem, {1, 1, 0.03f});
    rounded.expect_consistent(problem, 1e-6f);
  }
}

TEST(BlockPanel, WithoutFeedbackTheBytesAreTheEncoders) {
  Problem problem(2);
  std::fill(problem.feedback.begin(), problem.feedback.end(), 0.0f);
  RowWeights weights(problem.importance.data(), Problem::n);
  auto importance = problem.importance;
  weights.copy(0, int(Problem::n), problem.importance.data());
  for (TensorType type : kTypes) {
    Rounded rounded(type, problem, {});
    std::vector<float> row(Problem::n);
    std::vector<uint8_t> encoded(row_bytes(type, Problem::n).value()), all = rounded.bytes();
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t i = 0; i < Problem::n; ++i) row[i] = problem.values[i * kStride + r];
      info(type).encode(row.data(), importance.data(), encoded.data(), Problem::n);
      EXPECT_EQ(std::memcmp(encoded.data(), all.data() + r * encoded.size(), encoded.size()), 0)
          << to_string(type) << " row " << r;
    }
  }
}

TEST(BlockRounding, EveryValueGoesToTheLevelNearestToItsTarget) {
  Problem problem(3);
  constexpr size_t n = Problem::n;
  for (TensorType type : kTypes) {
    Rounded rounded(type, problem, {});
    const Levels& levels = rounded.panel.grid().levels();
    for (size_t r = 0; r < kRows; ++r)
      for (size_t k = 0; k < n; ++k) {
        double target = problem.values[k * kStride + r];
        for (size_t j = 0; j < k; ++j)
          target += double(rounded.errors[j * kStride + r]) * problem.unit[j * n + k];
        const size_t run = k / size_t(rounded.panel.grid().n_run_values);
        const double scale = rounded.panel.scales[run * kStride + r],
                     min = rounded.panel.mins[run * kStride + r];
        double nearest = 1e30;
        for (int level = int(levels.low); level <= int(levels.high); ++level) {
          if (levels.iq4 &&
              std::find(std::begin(kIq4Levels), std::end(kIq4Levels), level) == std::end(kIq4Levels))
            continue;
          nearest = std::min(nearest, std::fabs(target - (scale * level - min)));
        }
        const double decoded = problem.values[k * kStride + r] - rounded.errors[k * kStride + r];
        ASSERT_NEAR(std::fabs(target - decoded), nearest, 1e-5) << to_string(type) << " " << r << " " << k;
      }
  }
}

TEST(BlockRounding, FeedbackLowersTheError) {
  Problem problem(4), without(4);
  std::fill(without.feedback.begin(), without.feedback.end(), 0.0f);
  for (TensorType type : kTypes)
    EXPECT_LT(Rounded(type, problem, {}).error(problem), Rounded(type, without, {}).error(problem))
        << to_string(type);
}

TEST(BlockRounding, TrialsLowerTheErrorOnAverage) {
  Problem problem(5);
  double logs = 0;
  for (TensorType type : kTypes)
    logs += std::log(Rounded(type, problem, {2, 1, 0.03f}).error(problem) /
                     Rounded(type, problem, {}).error(problem));
  EXPECT_LT(logs, 0);
}

TEST(BlockRounding, ImprovingNeverRaisesTheErrorOfARow) {
  Problem problem(6);
  for (TensorType type : kTypes) {
    Rounded rounded(type, problem, {});
    const std::vector<float> before = rounded.errors;
    improve(rounded, problem, {1, 1, 0.03f});
    problem.expect_fall(before, rounded.errors, type);
  }
}

TEST(BlockRounding, AfterImprovingNoSingleLevelIsBetterOneStepAway) {
  // To convergence: a second visit finds nothing.
  Problem problem(7);
  constexpr size_t n = Problem::n;
  Rounded rounded(TensorType::Q3_K, problem, {});
  for (int visit = 0; visit < 12; ++visit) improve(rounded, problem, {});
  for (size_t r = 0; r < kRows; ++r)
    for (size_t k = 0; k < n; ++k) {
      double gradient = 0;
      for (size_t j = 0; j < n; ++j)
        gradient += problem.h[k * n + j] * double(rounded.errors[j * kStride + r]);
      const double scale = rounded.panel.scales[k / 16 * kStride + r];
      const int level = rounded.panel.levels[k * kStride + r];
      for (int step : {-1, 1}) {
        if (level + step < -4 || level + step > 3) continue;
        const double change = step * scale;
        EXPECT_GE(-2 * change * gradient + change * change * problem.h[k * n + k], -1e-7) << r << " " << k;
      }
    }
}

TEST(BlockRounding, WhatIsKeptZeroIsZeroWithEveryInstructionSet) {
  Problem problem(9);
  for (size_t i = 0; i < problem.values.size(); i += 1 + i % 3) problem.values[i] = 0;
  const GridTrials trials = {1, 1, 0.03f};
  for (TensorType type : kTypes) {
    if (!holds_exact_zero(type)) continue;
    Rounded generic(type, problem, trials, *find_block_rounding("generic"), true);
    improve(generic, problem, trials, *find_block_rounding("generic"));
    generic.expect_consistent(problem, 1e-6f);
    for (size_t i = 0; i < Problem::n; ++i)
      for (size_t r = 0; r < kRows; ++r)
        if (problem.values[i * kStride + r] == 0) {
          ASSERT_EQ(generic.panel.levels[i * kStride + r], 0) << to_string(type) << " " << i << " " << r;
        }
    for (const char* name : {"avx2", "avx512"}) {
      const BlockRounding* other = find_block_rounding(name);
      if (!other) continue;
      Rounded same(type, problem, trials, *other, true);
      improve(same, problem, trials, *other);
      EXPECT_EQ(same.bytes(), generic.bytes()) << name << " " << to_string(type);
    }
  }
}

TEST(BlockRounding, EveryInstructionSetGivesTheSameBits) {
  Problem problem(8);
  const BlockRounding& generic = *find_block_rounding("generic");
  for (const char* name : {"avx2", "avx512"}) {
    const BlockRounding* other = find_block_rounding(name);
    if (!other) continue;
    for (TensorType type : kTypes) {
      Rounded a(type, problem, {1, 1, 0.03f}, generic), b(type, problem, {1, 1, 0.03f}, *other);
      EXPECT_EQ(a.errors, b.errors) << name << " " << to_string(type);
      improve(a, problem, {1, 1, 0.03f}, generic), improve(b, problem, {1, 1, 0.03f}, *other);
      EXPECT_EQ(a.errors, b.errors) << name << " " << to_string(type);
      EXPECT_EQ(a.bytes(), b.bytes()) << name << " " << to_string(type);
    }
  }
}

}  // namespace
}  // namespace edgellm
