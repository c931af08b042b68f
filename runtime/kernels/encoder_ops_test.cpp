#include <cmath>
#include <gtest/gtest.h>
#include <vector>

#include "runtime/kernels/every_table.h"

namespace edgellm {
namespace {

const std::vector<size_t> kLengths = {1, 3, 8, 16, 17, 31, 32, 48, 100, 384, 1153};

TEST(EncoderOps, LayerNormGivesMeanZeroAndVarianceOneBeforeWeightAndBias) {
  for_each_table([](const Kernels& table) {
    for (size_t n : kLengths) {
      std::vector<float> x = random_values(n, 1, 2.0f, 5.0f), weight = random_values(n, 2),
                         bias = random_values(n, 3), y(n + 1, 77.0f);
      table.layer_norm(x.data(), weight.data(), bias.data(), 1e-5f, y.data(), n);
      double mean = 0, variance = 0;
      for (float v : x) mean += v / double(n);
      for (float v : x) variance += (v - mean) * (v - mean) / double(n);
      for (size_t i = 0; i < n; ++i) {
        double wanted = (x[i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + bias[i];
        ASSERT_NEAR(y[i], wanted, 3e-6 * (1 + std::fabs(wanted))) << n << " values, at " << i;
      }
      ASSERT_EQ(y[n], 77.0f);
      table.layer_norm(x.data(), weight.data(), bias.data(), 1e-5f, x.data(), n);
      y.resize(n);
      ASSERT_EQ(x, y) << "in place";
    }
  });
}

// Applies `function` to -14..14 in small steps, and to a length that is no whole number of vectors.
template <typename Exact>
void expect_activation(void (*function)(float*, size_t), Exact exact, double relative_to_size) {
  std::vector<float> x;
  for (int i = -14000; i <= 14001; ++i) x.push_back(float(i) * 1e-3f);
  for (float far : {-1e30f, -500.0f, -40.0f, 40.0f, 500.0f, 1e30f}) x.push_back(far);
  std::vector<float> y = x;
  y.push_back(77.0f);
  function(y.data(), x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    double wanted = exact(double(x[i]));
    ASSERT_NEAR(y[i], wanted, relative_to_size * std::max(1.0, std::fabs(wanted))) << "of " << x[i];
  }
  ASSERT_EQ(y.back(), 77.0f);
}

TEST(EncoderOps, GeluIsThatOfTheErrorFunction) {
  for_each_table([](const Kernels& table) {
    expect_activation(
        table.gelu, [](double x) { return 0.5 * x * std::erfc(-x * M_SQRT1_2); }, 3e-7);
  });
}

TEST(EncoderOps, GeluOfSmallValuesKeepsItsSign) {
  for_each_table([](const Kernels& table) {
    std::vector<float> x = {-1e-6f, 1e-6f, 0.0f, -1e-30f, -5.0f, -6.0f};
    std::vector<float> y = x;
    table.gelu(y.data(), y.size());
    for (size_t i = 0; i < x.size(); ++i) {
      double wanted = 0.5 * double(x[i]) * std::erfc(-double(x[i]) * M_SQRT1_2);
      ASSERT_NEAR(y[i], wanted, 2e-5 * std::fabs(wanted)) << x[i];
    }
  });
}

TEST(EncoderOps, GeluTanhIsTheApproximation) {
  for_each_table([](const Kernels& table) {
    expect_activation(
        table.gelu_tanh,
        [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); },
        1e-6);
  });
}

TEST(EncoderOps, ReluCutsAtZero) {
  for_each_table([](const Kernels& table) {
    expect_activation(
        table.relu, [](double x) { return std::max(x, 0.0); }, 0);
  });
}

// softmax(scale * q k) v in double.
void expect_attention_by_definition(const Kernels& table, size_t n_tokens, size_t head_width) {
  SCOPED_TRACE(::testing::Message() << n_tokens << " tokens, heads of " << head_width);
  const size_t stride = 3 * head_width + 5, output_stride = head_width + 3;
  std::vector<float> all = random_values(n_tokens * stride, uint32_t(n_tokens), 2.0f);
  const float *q = all.data(), *k = q + head_width, *v = k + head_width;
  const float scale = 1.0f / std::sqrt(float(head_width));
  size_t n_bytes = table.sequence_attention_scratch_bytes(n_tokens, head_width);
  std::vector<float> scratch(n_bytes / sizeof(float) + 32, std::nanf(""));
  float* aligned =
      scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64 / sizeof(float);
  aligned[n_bytes / sizeof(float)] = 77.0f;
  std::vector<float> output(n_tokens * output_stride, 77.0f);
  table.sequence_attention({.q = q,
                            .k = k,
                            .v = v,
                            .stride = stride,
                            .n_tokens = n_tokens,
                            .head_width = head_width,
                            .scale = scale,
                            .output = output.data(),
                            .output_stride = output_stride,
                            .scratch = aligned});
  ASSERT_EQ(aligned[n_bytes / sizeof(float)], 77.0f) << "wrote past the scratch";
  std::vector<double> weights(n_tokens);
  for (size_t t = 0; t < n_tokens; ++t) {
    double most = -1e300, total = 0;
    for (size_t p = 0; p < n_tokens; ++p) {
      weights[p] = 0;
      for (size_t d = 0; d < head_width; ++d) weights[p] += double(q[t * stride + d]) * k[p * stride + d];
      weights[p] *= scale;
      most = std::max(most, weights[p]);
    }
    for (double& w : weights) total += w = std::exp(w - most);
    for (size_t d = 0; d < head_width; ++d) {
      double wanted = 0;
      for (size_t p = 0; p < n_tokens; ++p) wanted += weights[p] / total * v[p * stride + d];
      ASSERT_NEAR(output[t * output_stride + d], wanted, 1e-5 * (1 + std::fabs(wanted)))
          << "token " << t << " column " << d;
    }
    for (size_t d = head_width; d < output_stride; ++d) ASSERT_EQ(output[t * output_stride + d], 77.0f);
  }
}

TEST(SequenceAttention, IsSoftmaxOverTheWholeSequence) {
  for_each_table([](const Kernels& table) {
    for (size_t n_tokens : {1, 2, 3, 4, 5, 15, 16, 17, 47, 48, 49, 63, 64, 65, 130})
      for (size_t head_width : {1, 4, 6, 32, 64, 72})
        expect_attention_by_definition(table, n_tokens, head_width);
    expect_attention_by_definition(table, 512, 64);
  });
}

}  // namespace
}  // namespace edgellm
