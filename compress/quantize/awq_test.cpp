#include "compress/quantize/awq.h"

#include <array>
#include <gtest/gtest.h>

#include "compress/calibrate/golden_layer.h"
#include "compress/quantize/uniform_grid.h"

namespace edgellm {
namespace {

AwqInput statistics_of(const at::Tensor& inputs) {
  at::Tensor wide = inputs.to(at::kDouble);
  return {inputs.abs().mean(0), wide.t().mm(wide), double(inputs.size(0))};
}

RoundMatrix uniform(int n_bits, int64_t n_group) {
  return [=](const at::Tensor& w) { return round_to_uniform_grid(w, n_bits, n_group); };
}

struct Recorded {
  const char* name;
  int n_bits;
  int64_t n_group;
  double ratio, error;
};
constexpr Recorded kRecorded[] = {
    {"w4_g128", 4, 128, 0.35, 0.06538472324609756}, {"w4_g64", 4, 64, 0.35, 0.043175723403692245},
    {"w4_g-1", 4, 256, 0.35, 0.10195620357990265},  {"w3_g128", 3, 128, 0.4, 0.2931911051273346},
    {"w3_g64", 3, 64, 0.4, 0.20124530792236328},    {"w3_g-1", 3, 256, 0.35, 0.4665641784667969}};

TEST(Awq, FindsTheOfficialProgramsScales) {
  EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER();
  golden::Layer layer = golden::recorded_layer();
  AwqInput input = statistics_of(layer.inputs);
  EXPECT_TRUE(at::allclose(input.mean_magnitude, golden::load("awq_act_scale"), 1e-6, 0));
  for (const Recorded& r : kRecorded) {
    auto found = search_awq_scales({{{layer.weights, uniform(r.n_bits, r.n_group)}}}, input);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_NEAR(found->ratio, r.ratio, 1e-9) << r.name;
    EXPECT_NEAR(found->error, r.error, 1e-5 * r.error) << r.name;
    EXPECT_TRUE(at::allclose(found->scales, golden::load(std::string("awq_scales_") + r.name), 1e-5, 0))
        << r.name;
  }
}

TEST(Awq, GivesTheOfficialProgramsWeights) {
  EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER();
  golden::Layer layer = golden::recorded_layer();
  for (const char* name : {"w4_g128", "w3_g128"}) {
    int n_bits = name[1] - '0';
    at::Tensor scales = golden::load(std::string("awq_scales_") + name);
    at::Tensor weights = round_to_uniform_grid(scale_columns(layer.weights, scales), n_bits, 128) / scales;
    EXPECT_TRUE(at::equal(weights, golden::load(std::string("awq_pseudoquant_") + name))) << name;
    EXPECT_TRUE(at::equal(round_to_uniform_grid(layer.weights, n_bits, 128),
                          golden::load("awq_rtn_" + std::string(name))))
        << name;
  }
}

TEST(AwqClip, FindsTheOfficialProgramsLimits) {
  EDGELLM_SKIP_WITHOUT_GOLDEN_LAYER();
  golden::Layer layer = golden::recorded_layer();
  for (const Recorded& r : kRecorded) {
    if (r.n_group == 256) continue;
    at::Tensor scales = golden::load(std::string("awq_scales_") + r.name);
    at::Tensor moments = scale_moments(statistics_of(layer.inputs).second_moments, scales);
    at::Tensor limits = search_awq_clip(scale_columns(layer.weights, scales), moments, r.n_group,
                                        uniform(r.n_bits, r.n_group));
    at::Tensor recorded = golden::load(std::string("awq_clip_max_") + r.name).squeeze(2);
    // Errors of two limits may be equal to the last digits of float.
    EXPECT_LT(((limits - recorded).abs() > 1e-6 * recorded).sum().item<int64_t>(), recorded.numel() / 100 + 1)
        << r.name;
  }
}

TEST(Awq, BeforeRoundingTheModelComputesTheSame) {
  golden::Layer layer = golden::random_layer(24, 32, 64, 1);
  at::Tensor scales = at::rand({32}, at::detail::createCPUGenerator(2)) * 3 + 0.2;
  at::Tensor norm = at::rand({32}, at::detail::createCPUGenerator(3)) + 0.5;
  at::Tensor expected = (layer.inputs * norm).mm(layer.weights.t());
  at::Tensor folded =
      (layer.inputs * divide_outputs(norm, scales)).mm(scale_columns(layer.weights, scales).t());
  EXPECT_TRUE(at::allclose(folded, expected, 1e-4, 1e-4));

  at::Tensor up = golden::random_layer(32, 16, 1, 4).weights,
             x = at::randn({64, 16}, at::detail::createCPUGenerator(5));
  expected = x.mm(up.t()).mm(layer.weights.t());
  folded = x.mm(divide_outputs(up, scales).t()).mm(scale_columns(layer.weights, scales).t());
  EXPECT_TRUE(at::allclose(folded, expected, 1e-4, 1e-4));
}

TEST(Awq, IsNeverWorseThanWithoutScales) {
  golden::Layer layer = golden::random_layer(24, 64, 256, 6);
  golden::Layer other = golden::random_layer(8, 64, 1, 7);
  // Each in its own grid.
  std::array<AwqMatrix, 2> matrices = {{{layer.weights, uniform(3, 32)}, {other.weights, uniform(4, 32)}}};
  auto found = search_awq_scales(matrices, statistics_of(layer.inputs));
  ASSERT_TRUE(found.ok());
  EXPECT_LT(found->error, found->errors[0]);  // large inputs are there to gain from
  double sum = 0;
  for (const auto& [m, round] : matrices)
    sum += layer.inputs.mm((round(m) - m).t()).square().sum().item<double>();
  EXPECT_NEAR(found->errors[0], sum / (256 * 32), 1e-4 * found->errors[0]);
}

TEST(AwqClip, LeavesNoGroupWorse) {
  golden::Layer layer = golden::random_layer(16, 64, 256, 8);
  layer.weights[3][5] = 4;
  at::Tensor moments = statistics_of(layer.inputs).second_moments;
  RoundMatrix round = uniform(3, 32);
  at::Tensor limits = search_awq_clip(layer.weights, moments, 32, round);
  at::Tensor clipped = clip_groups(layer.weights, limits);
  auto errors = [&](const at::Tensor& w) {
    at::Tensor d = (round(w) - layer.weights).reshape({16, 2, 32}), x = layer.inputs.reshape({256, 2, 32});
    return at::einsum("tgi,rgi->trg", {x, d}).square().sum(0);
  };
  EXPECT_TRUE((errors(clipped) <= errors(layer.weights) * 1.0001).all().item<bool>());
  EXPECT_LT(limits.min().item<double>(), limits.max().item<double>());
}

TEST(Awq, InputsThatAreAlwaysZeroChangeNoOthersScale) {
  golden::Layer layer = golden::random_layer(24, 64, 256, 6);
  layer.inputs.narrow(1, 0, 32).zero_();
  auto all = search_awq_scales({{{layer.weights, uniform(3, 32)}}}, statistics_of(layer.inputs));
  auto used = search_awq_scales({{{layer.weights.narrow(1, 32, 32), uniform(3, 32)}}},
                                statistics_of(layer.inputs.narrow(1, 32, 32)));
  ASSERT_TRUE(all.ok() && used.ok());
  EXPECT_TRUE(at::allclose(all->scales.narrow(0, 32, 32), used->scales, 1e-5, 0));
  EXPECT_TRUE((all->scales.narrow(0, 0, 32) == 1).all().item<bool>());
}

TEST(Awq, RefusesWhatDoesNotFit) {
  golden::Layer layer = golden::random_layer(8, 32, 64, 9);
  AwqInput input = statistics_of(layer.inputs);
  EXPECT_FALSE(search_awq_scales({{{at::ones({8, 16}), uniform(4, 16)}}}, input).ok());
  input.second_moments = at::full({32, 32}, NAN);
  EXPECT_FALSE(search_awq_scales({{{layer.weights, uniform(4, 32)}}}, input).ok());
}

}  // namespace
}  // namespace edgellm
