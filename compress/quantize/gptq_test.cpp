// GPTQ: the textbook's numbers on uniform grids, the official program's where its results are at hand, and on
// every block format an output error below that of rounding to nearest with importance.
#include "compress/quantize/gptq.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <optional>

#include "core/base/test_folders.h"
#include "core/blocks/exact_zero.h"

namespace edgellm {
namespace {

// A uniform grid of rows, or of groups of columns, as the official program chooses it.
struct UniformGrid {
  int n_bits;
  bool symmetric;
  int64_t group;  // columns; 0: the row
  bool fixed;     // groups from the weights as they were
};

struct ScaleAndZero {
  at::Tensor scale, zero;  // [n_rows]
};

ScaleAndZero find_parameters(const at::Tensor& columns, const UniformGrid& grid) {
  const double high = std::pow(2, grid.n_bits) - 1;
  at::Tensor least = columns.amin(0).clamp_max(0), most = columns.amax(0).clamp_min(0);
  if (grid.symmetric) {
    most = at::maximum(least.abs(), most);
    least = at::where(least < 0, -most, least);
  }
  at::Tensor empty = (least == 0) & (most == 0);
  least = at::where(empty, at::full_like(least, -1), least);
  most = at::where(empty, at::full_like(most, 1), most);
  at::Tensor scale = (most - least) / high;
  return {scale, grid.symmetric ? at::full_like(scale, (high + 1) / 2) : at::round(-least / scale)};
}

// weights: [n_columns, n_rows]; gives what they are rounded to.
at::Tensor round_uniform(const at::Tensor& weights, const ErrorFactor& factor, const UniformGrid& grid,
                         size_t n_panel) {
  const double high = std::pow(2, grid.n_bits) - 1;
  const int64_t n_rows = weights.size(1);
  ScaleAndZero of_row = find_parameters(weights, grid);
  auto round_panel = [&](size_t first, size_t n_columns, const PanelFeedback& feedback,
                         const float* values_at, float* targets_at, float* errors_at, size_t) {
    const int64_t n = int64_t(n_columns);
    at::Tensor values = at::from_blob(const_cast<float*>(values_at), {n, n_rows});
    at::Tensor targets = at::from_blob(targets_at, {n, n_rows}),
               errors = at::from_blob(errors_at, {n, n_rows});
    at::Tensor f = at::from_blob(const_cast<float*>(feedback.feedback), {n, n});
    // The weights as compensated when the panel is reached: what would be taken without rounding.
    at::Tensor compensated = values + at::linalg_solve_triangular(f.t(), targets - values, /*upper=*/false,
                                                                  /*left=*/true, /*unitriangular=*/true);
    at::Tensor fitted_to = grid.fixed ? weights.narrow(0, int64_t(first), n) : compensated;
    ScaleAndZero used = of_row;
    for (int64_t k = 0; k < n; ++k) {
      if (grid.group && k % grid.group == 0)
        used = find_parameters(fitted_to.narrow(0, k, std::min(grid.group, n - k)), grid);
      at::Tensor code = at::clamp(at::round(targets[k] / used.scale) + used.zero, 0, high);
      errors[k].copy_(values[k] - used.scale * (code - used.zero));
      if (k + 1 < n) targets.narrow(0, k + 1, n - k - 1).addr_(f[k].narrow(0, k + 1, n - k - 1), errors[k]);
    }
  };
  return weights - round_with_feedback(weights, factor, n_panel, round_panel);
}

struct Layer {
  at::Tensor weights, moment;
};

// Heavy-tailed weights, inputs that go together and differ in size.
Layer random_layer(int64_t n_rows, int64_t n_columns, int64_t seed) {
  at::manual_seed(uint64_t(seed));
  at::Tensor weights = 0.02 * at::randn({n_rows, n_columns}) * at::exp(0.4 * at::randn({n_rows, n_columns}));
  at::Tensor mixing = at::randn({n_columns / 4, n_columns}) / std::sqrt(double(n_columns) / 4);
  at::Tensor inputs =
      at::mm(at::randn({4 * n_columns, n_columns / 4}), mixing) + 0.3 * at::randn({4 * n_columns, n_columns});
  inputs *= at::exp(0.7 * at::randn({n_columns}));
  return {weights, at::mm(inputs.t(), inputs)};
}

double relative_error(const at::Tensor& weights, const at::Tensor& rounded, const at::Tensor& moment) {
  return output_error((weights - rounded).t().contiguous(), moment) /
         output_error(weights.t().contiguous(), moment);
}

at::Tensor decode(const std::vector<uint8_t>& bytes, TensorType type, at::IntArrayRef shape) {
  at::Tensor values = at::empty(shape);
  info(type).decode(bytes.data(), values.data_ptr<float>(), size_t(values.numel()));
  return values;
}

at::Tensor rounded_to_nearest(const Layer& layer, TensorType type) {
  const size_t n_columns = size_t(layer.weights.size(1)), n_row_bytes = row_bytes(type, n_columns).value();
  std::vector<uint8_t> bytes(size_t(layer.weights.size(0)) * n_row_bytes);
  at::Tensor importance = layer.moment.diagonal().clone();
  for (int64_t r = 0; r < layer.weights.size(0); ++r)
    info(type).encode(layer.weights.data_ptr<float>() + r * int64_t(n_columns), importance.data_ptr<float>(),
                      bytes.data() + size_t(r) * n_row_bytes, n_columns);
  return decode(bytes, type, layer.weights.sizes());
}

constexpr TensorType kTypes[] = {
    TensorType::Q4_0,   TensorType::Q4_1,    TensorType::Q5_0,  TensorType::Q5_1,    TensorType::Q8_0,
    TensorType::Q2_K,   TensorType::Q3_K,    TensorType::Q4_K,  TensorType::Q5_K,    TensorType::Q6_K,
    TensorType::IQ4_NL, TensorType::IQ4_XS,  TensorType::Q2_0,  TensorType::IQ2_XXS, TensorType::IQ2_XS,
    TensorType::IQ2_S,  TensorType::IQ3_XXS, TensorType::IQ3_S, TensorType::IQ1_S,   TensorType::IQ1_M};

TEST(ErrorFactor, TheFactorsMultiplyToTheDampedMoments) {
  Layer layer = random_layer(1, 96, 1);
  auto factor = factor_error(layer.moment, 0.01).value();
  EXPECT_EQ(factor.damping_ratio, 0.01);
  at::Tensor f = factor.feedback.to(at::kDouble),
             product = at::mm(f * factor.importance.to(at::kDouble), f.t());
  at::Tensor damped = layer.moment.to(at::kDouble) + at::diag(factor.damping).to(at::kDouble);
  EXPECT_LT((product - damped).abs().max().item<double>(), 1e-5 * damped.max().item<double>());
  EXPECT_EQ(f.tril(-1).abs().max().item<double>(), 0);
}

TEST(ErrorFactor, DampingIsAShareOfEachEntryOrOfTheirMean) {
  at::Tensor moment = at::diag(at::tensor({1e6f, 1.0f, 4.0f, 0.0f}));
  const at::Tensor each = factor_error(moment, 0.1).value().damping,
                   mean = factor_error(moment, 0.1, DampedBy::mean).value().damping;
  EXPECT_TRUE(at::allclose(each.slice(0, 0, 3), at::tensor({1e5f, 0.1f, 0.4f})));
  EXPECT_GT(each[3].item<float>(), 0) << "an input that is never there";
  EXPECT_LT(each[3].item<float>(), 0.1f);
  EXPECT_TRUE(at::allclose(mean, at::full({4}, 25000.125f)));
}

// One input that a single token excites a thousand times more than all others must not end the feedback
// between those.
TEST(ErrorFactor, AMassiveInputLeavesTheOthersTheirFeedback) {
  Layer layer = random_layer(1, 32, 4);
  at::Tensor massive = layer.moment.clone();
  massive[7][7] += 1e8;
  const at::Tensor without = factor_error(layer.moment, 0.1).value().feedback,
                   with = factor_error(massive, 0.1).value().feedback,
                   by_mean = factor_error(massive, 0.1, DampedBy::mean).value().feedback;
  auto of_last_columns = [](const at::Tensor& f) {
    return f.slice(0, 8).slice(1, 8).triu(1).abs().sum().item<float>();
  };
  EXPECT_NEAR(of_last_columns(with), of_last_columns(without), 1e-3 * of_last_columns(without));
  EXPECT_LT(of_last_columns(by_mean), 0.1 * of_last_columns(without));
}

TEST(ErrorFactor, RunsAreFactoredAndInverted) {
  Layer layer = random_layer(1, 64, 2);
  auto factor = factor_error(layer.moment, 0.01).value();
  RunFactors runs = factor_runs(factor, 32);
  for (int64_t run = 0; run < 2; ++run) {
    at::Tensor h = (layer.moment + at::diag(factor.damping))
                       .slice(0, 32 * run, 32 * run + 32)
                       .slice(1, 32 * run, 32 * run + 32);
    at::Tensor f = at::from_blob(runs.feedback.data() + run * 1024, {32, 32}),
               d = at::from_blob(runs.importance.data() + run * 32, {32});
    at::Tensor inverse = at::from_blob(runs.inverse.data() + run * 1024, {32, 32});
    EXPECT_LT((at::mm(f * d, f.t()) - h).abs().max().item<float>(), 1e-4f * h.max().item<float>());
    EXPECT_LT((at::mm(inverse, h) - at::eye(32)).abs().max().item<float>(), 1e-2f);
  }
}

TEST(ErrorFactor, MomentsThatAreNotPositiveDefiniteAreDampedMore) {
  at::Tensor moment = at::eye(8);
  moment[0][1] = moment[1][0] = 2;
  auto factor = factor_error(moment, 0.01).value();
  EXPECT_GT(factor.damping_ratio, 0.01);
  EXPECT_TRUE(at::isfinite(factor.feedback).all().item<bool>());
}

TEST(ErrorFactor, UnusableMomentsAreNamed) {
  at::Tensor moment = at::eye(8);
  moment[3][5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(factor_error(moment, 0.01).error().message.find("input 3"), std::string::npos);
  moment = at::eye(8);
  moment[6][6] = -1;
  EXPECT_NE(factor_error(moment, 0.01).error().message.find("input 6"), std::string::npos);
  EXPECT_FALSE(factor_error(at::zeros({8, 8}), 0.01).ok());
  EXPECT_FALSE(factor_error(at::zeros({8, 7}), 0.01).ok());
}

TEST(RoundWithFeedback, IsTheTextbooksGptq) {
  Layer layer = random_layer(5, 8, 3);
  auto factor = factor_error(layer.moment, 0.01).value();
  UniformGrid grid = {3, false, 0, false};
  at::Tensor transposed = layer.weights.t().contiguous(), ours = round_uniform(transposed, factor, grid, 3);
  // Algorithm 1 of the paper, in double: the Cholesky factor of the inverse, columns one by one.
  at::Tensor h = layer.moment.to(at::kDouble) + at::diag(factor.damping).to(at::kDouble);
  at::Tensor u = at::linalg_cholesky(at::linalg_inv(h)).t(), w = layer.weights.to(at::kDouble).clone();
  auto [scale, zero] = find_parameters(transposed, grid);
  at::Tensor rounded = at::zeros_like(w);
  for (int64_t k = 0; k < 8; ++k) {
    at::Tensor column = w.select(1, k).clone();
    at::Tensor q = scale * (at::clamp(at::round(column / scale) + zero, 0, 7) - zero);
    rounded.select(1, k).copy_(q);
    w -= at::outer((column - q) / u[k][k], u[k]);
  }
  EXPECT_LT((ours.t() - rounded).abs().max().item<double>(), 1e-6);
}

TEST(RoundWithFeedback, PanelsOfAnyWidthGiveTheSame) {
  Layer layer = random_layer(16, 64, 4);
  auto factor = factor_error(layer.moment, 0.01).value();
  UniformGrid grid = {4, false, 0, false};
  at::Tensor transposed = layer.weights.t().contiguous();
  at::Tensor wide = round_uniform(transposed, factor, grid, 64),
             narrow = round_uniform(transposed, factor, grid, 8);
  EXPECT_LT((wide - narrow).abs().max().item<float>(), 1e-6f);
}

std::optional<at::Tensor> read_npy(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  if (bytes.size() < 10) return std::nullopt;
  const size_t header_end = 10 + uint8_t(bytes[8]) + 256u * uint8_t(bytes[9]);
  const std::string header = bytes.substr(10, header_end - 10);
  long n_rows = 0, n_columns = 0;
  if (std::sscanf(header.c_str() + header.find('('), "(%ld, %ld)", &n_rows, &n_columns) != 2)
    return std::nullopt;
  at::Tensor values = at::empty({n_rows, n_columns});
  std::memcpy(values.data_ptr<float>(), bytes.data() + header_end, bytes.size() - header_end);
  return values;
}

TEST(RoundWithFeedback, MeetsTheOfficialProgramsResults) {
  const auto folder = shared_folder() / "golden" / "layer";
  auto weights = read_npy(folder / "W.npy"), moment = read_npy(folder / "gptq_H.npy");
  if (!weights || !moment) GTEST_SKIP() << "no goldens at " << folder;
  struct Golden {
    const char* name;
    UniformGrid grid;
    bool by_activation;
  };
  const Golden goldens[] = {
      {"gptq_w4_g128_act0_asym", {4, false, 128, false}, false},
      {"gptq_w4_g-1_act0_asym", {4, false, 0, false}, false},
      {"gptq_w3_g128_act0_asym", {3, false, 128, false}, false},
      {"gptq_w3_g128_act0_sym", {3, true, 128, false}, false},
      {"gptq_w3_g-1_act0_asym", {3, false, 0, false}, false},
      {"gptq_w3_g-1_act0_sym", {3, true, 0, false}, false},
      {"gptq_w4_g32_act0_asym", {4, false, 32, false}, false},
      {"gptq_w4_g128_act0_asym_static", {4, false, 128, true}, false},
      {"gptq_w4_g128_act1_asym", {4, false, 128, false}, true},
      {"gptq_w4_g-1_act1_asym", {4, false, 0, false}, true},
      {"gptq_w4_g-1_act1_sym", {4, true, 0, false}, true},
      {"gptq_w3_g-1_act1_asym", {3, false, 0, false}, true},
      {"gptq_w3_g-1_act1_sym", {3, true, 0, false}, true},
      {"gptq_w3_g128_act1_asym", {3, false, 128, false}, true},
      {"gptq_w3_g128_act1_sym", {3, true, 128, false}, true},
      {"gptq_w2_g64_act1_asym", {2, false, 64, false}, true},
  };
  for (const Golden& golden : goldens) {
    auto theirs = read_npy(folder / (std::string(golden.name) + ".npy"));
    ASSERT_TRUE(theirs) << golden.name;
    at::Tensor order =
        golden.by_activation ? at::argsort(moment->diagonal(), 0, true) : at::arange(weights->size(1));
    at::Tensor h = moment->index_select(0, order).index_select(1, order).contiguous();
    at::Tensor transposed = weights->index_select(1, order).t().contiguous();
    auto factor = factor_error(h, 0.01, DampedBy::mean).value();
    at::Tensor rounded = round_uniform(transposed, factor, golden.grid, 128);
    at::Tensor ours = rounded.t().index_select(1, at::argsort(order)).contiguous();
    const double n_other = (ours - *theirs).abs().gt(1e-5).sum().item<double>();
    EXPECT_LE(n_other / double(ours.numel()), 0.005) << golden.name;
    EXPECT_NEAR(relative_error(*weights, ours, *moment) / relative_error(*weights, *theirs, *moment), 1, 0.02)
        << golden.name;
  }
}

TEST(Gptq, OutputErrorIsBelowThatOfRoundingToNearestForEveryType) {
  Layer layer = random_layer(48, 512, 5);
  auto factor = factor_error(layer.moment, 0.01).value();
  for (TensorType type : kTypes) {
    GptqOptions options;
    options.keeps_decoded = true;
    auto solved = quantize_gptq(layer.weights, factor, type, options).value();
    at::Tensor decoded = decode(solved.bytes, type, layer.weights.sizes());
    EXPECT_TRUE(at::equal(decoded, solved.decoded)) << to_string(type);
    const double error = relative_error(layer.weights, decoded, layer.moment);
    EXPECT_NEAR(solved.relative_error / error, 1, 1e-3) << to_string(type);
    EXPECT_LT(error, 0.8 * relative_error(layer.weights, rounded_to_nearest(layer, type), layer.moment))
        << to_string(type);
  }
}

TEST(Gptq, RowsThatFillNoWidePanelAreRounded) {
  Layer layer = random_layer(19, 576, 6);
  auto factor = factor_error(layer.moment, 0.01).value();
  for (TensorType type : {TensorType::Q4_0, TensorType::Q4_1, TensorType::Q2_0, TensorType::IQ4_NL}) {
    auto solved = quantize_gptq(layer.weights, factor, type, {}).value();
    EXPECT_LT(solved.relative_error,
              relative_error(layer.weights, rounded_to_nearest(layer, type), layer.moment))
        << to_string(type);
  }
}

TEST(Gptq, SweepsLowerTheErrorFurther) {
  Layer layer = random_layer(32, 512, 7);
  auto factor = factor_error(layer.moment, 0.01).value();
  for (TensorType type : kTypes) {
    GptqOptions none, two;
    none.n_sweeps = 0;
    EXPECT_LT(quantize_gptq(layer.weights, factor, type, two)->relative_error,
              quantize_gptq(layer.weights, factor, type, none)->relative_error)
        << to_string(type);
  }
}

TEST(Gptq, WeightsThatLieOnTheGridAreKept) {
  Layer layer = random_layer(300, 256, 11);
  auto factor = factor_error(layer.moment, 0.01).value();
  for (TensorType type : kTypes) {
    layer.weights = rounded_to_nearest(layer, type);
    GptqOptions options;
    options.keeps_decoded = true;
    auto solved = quantize_gptq(layer.weights, factor, type, options).value();
    EXPECT_LE(solved.relative_error, solved.nearest_error) << to_string(type);
    EXPECT_TRUE(at::equal(solved.decoded, decode(solved.bytes, type, layer.weights.sizes())))
        << to_string(type);
    EXPECT_LT(solved.nearest_error, 1e-3) << to_string(type);
  }
}

TEST(Gptq, PrunedWeightsStayZeroAndTheOthersMakeUpForTheirErrors) {
  Layer layer = random_layer(48, 512, 12);
  const at::Tensor pruned = at::rand({48, 512}) < 0.5;
  layer.weights.masked_fill_(pruned, 0);
  auto factor = factor_error(layer.moment, 0.01).value();
  size_t n_tried = 0;
  for (TensorType type : kTypes) {
    GptqOptions options;
    options.keeps_decoded = options.keeps_zeros = true;
    auto solved = quantize_gptq(layer.weights, factor, type, options);
    ASSERT_EQ(solved.ok(), holds_exact_zero(type)) << to_string(type);
    if (!solved.ok()) continue;
    ++n_tried;
    at::Tensor decoded = decode(solved->bytes, type, layer.weights.sizes());
    EXPECT_TRUE(at::equal(decoded, solved->decoded)) << to_string(type);
    EXPECT_EQ(decoded.masked_select(pruned).count_nonzero().item<int64_t>(), 0) << to_string(type);
    EXPECT_LT(relative_error(layer.weights, decoded, layer.moment),
              0.9 * relative_error(layer.weights, rounded_to_nearest(layer, type), layer.moment))
        << to_string(type);
    // Not kept, feedback fills them.
    options.keeps_zeros = false;
    auto filled = quantize_gptq(layer.weights, factor, type, options).value();
    EXPECT_GT(filled.decoded.masked_select(pruned).count_nonzero().item<int64_t>(), 0) << to_string(type);
  }
  EXPECT_GE(n_tried, 5u);
}

TEST(Gptq, ThreadsDoNotChangeTheBytes) {
  Layer layer = random_layer(200, 256, 8);
  auto factor = factor_error(layer.moment, 0.01).value();
  GptqOptions one, three;
  one.n_threads = 1, three.n_threads = 3;
  for (TensorType type : {TensorType::Q3_K, TensorType::IQ2_XS})
    EXPECT_EQ(quantize_gptq(layer.weights, factor, type, one)->bytes,
              quantize_gptq(layer.weights, factor, type, three)->bytes)
        << to_string(type);
}

TEST(Gptq, InputsThatAreNeverUsedLeaveTheRestAlone) {
  Layer layer = random_layer(16, 256, 9);
  layer.moment.select(0, 77).zero_();
  layer.moment.select(1, 77).zero_();
  auto factor = factor_error(layer.moment, 0.01).value();
  auto solved = quantize_gptq(layer.weights, factor, TensorType::Q4_K, {}).value();
  EXPECT_LT(solved.relative_error,
            relative_error(layer.weights, rounded_to_nearest(layer, TensorType::Q4_K), layer.moment));
}

TEST(Gptq, WhatCannotBeDoneIsAnError) {
  Layer layer = random_layer(8, 256, 10);
  auto factor = factor_error(layer.moment, 0.01).value();
  auto message = [&](const at::Tensor& weights, TensorType type) {
    auto solved = quantize_gptq(weights, factor, type, {});
    return solved.ok() ? std::string() : solved.error().message;
  };
  EXPECT_NE(message(layer.weights, TensorType::F16).find("no grid"), std::string::npos);
  EXPECT_NE(message(at::zeros({8, 250}), TensorType::Q4_K).find("250"), std::string::npos);
  EXPECT_NE(message(at::zeros({8, 512}), TensorType::Q4_K).find("256 inputs"), std::string::npos);
  at::Tensor broken = layer.weights.clone();
  broken[5][7] = std::numeric_limits<float>::infinity();
  EXPECT_NE(message(broken, TensorType::Q4_K).find("row 5"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
