// How much tokens weigh, against the gradients of the whole model in one graph.
#include "compress/calibrate/token_weights.h"

#include <ATen/CPUGeneratorImpl.h>

#include "core/base/interrupt.h"
#include "core/base/temporary_folder.h"
#include "tests/compress/tiny_torch.h"

namespace edgellm {
namespace {

using namespace tiny;
using enum TensorRole;

// More windows than are kept at once.
constexpr size_t kWindows = 18, kKept = 16, kTokens = 20;

// Of mean 1 after the root, as the weights are.
at::Tensor normed_root(const at::Tensor& squares) {
  at::Tensor roots = squares.sqrt();
  return roots / roots.mean();
}

class TokenWeightsTest : public testing::Test {
 protected:
  void use(const Shape& shape) {
    model_ = value_of(TorchModel::open(tiny::open(shape), {}));
    windows_ = random_windows(kWindows, kTokens, shape.n_vocabulary);
  }

  TemporaryFolder folder_ = value_of(TemporaryFolder::create("token-weights"));
  std::unique_ptr<TorchModel> model_;
  std::vector<std::vector<Token>> windows_;
};

TEST_F(TokenWeightsTest, AreTheRootsOfTheWholeModelsMeanSquaredGradients) {
  for (const Shape& shape : {kLlama, kQwen2, kGemma3}) {
    SCOPED_TRACE(shape.family);
    use(shape);
    TokenWeights weights = value_of(measure_token_weights(*model_, windows_, {}, {}));

    at::AutoGradMode mode(true);
    const TorchPositions positions = model_->positions(kTokens);
    at::Tensor hidden = value_of(model_->embed(windows_));
    std::map<std::pair<uint32_t, TensorRole>, at::Tensor> probes;
    for (uint32_t number = 0; number < shape.n_layers; ++number) {
      TorchLayer layer = value_of(model_->load_layer(number));
      for (TensorRole product : {attention_q, attention_output, ffn_gate, ffn_up, ffn_down}) {
        const TensorRole bias = product_bias_role(product);
        at::Tensor probe = at::zeros({kWindows, kTokens, layer.parameter(product).size(0)});
        if (layer.parameter(bias).defined()) probe.add_(layer.parameter(bias));
        layer.set_parameter(bias, probe.set_requires_grad(true));
        probes[{number, product}] = probe;
      }
      hidden = layer.forward(hidden, positions);
    }
    const TorchHead head = value_of(model_->load_head());
    at::Generator random;
    at::Tensor sum = at::zeros({});
    for (size_t window = 0; window < kWindows; ++window) {
      if (window % kKept == 0) random = at::detail::createCPUGenerator(window + 1);
      at::Tensor logits = head.logits(hidden[int64_t(window)]);
      at::Tensor drawn = logits.detach().softmax(-1).multinomial(1, false, random);
      sum = sum + logits.log_softmax(-1).gather(-1, drawn).sum();
    }
    sum.backward();
    auto squares = [&](uint32_t layer, TensorRole role) {
      at::Tensor of = probes[{layer, role}].grad().square().mean(-1);
      return of / of.mean();
    };
    for (uint32_t number = 0; number < shape.n_layers; ++number) {
      for (TensorRole role : {attention_q, attention_output, ffn_down})
        EXPECT_LE(relative_difference(weights.of(number, role), normed_root(squares(number, role))), 1e-3)
            << number << " " << to_string(role);
      EXPECT_LE(relative_difference(weights.of(number, ffn_up),
                                    normed_root(squares(number, ffn_gate) + squares(number, ffn_up))),
                1e-3)
          << number;
      EXPECT_TRUE(weights.of(number, ffn_gate).equal(weights.of(number, ffn_up)));
      at::Tensor attended = probes[{number, attention_output}].grad().matmul(
          value_of(model_->load_layer(number)).parameter(attention_output));
      EXPECT_LE(relative_difference(weights.of(number, attention_v), normed_root(attended.square().mean(-1))),
                1e-3)
          << number;
      EXPECT_TRUE(weights.of(number, attention_v).equal(weights.of(number, attention_k)));
    }
    EXPECT_FALSE(weights.of(shape.n_layers, attention_q).defined());
  }
}

TEST_F(TokenWeightsTest, OfARunThatWasStoppedAreThoseOfOneThatWasNot) {
  use(kLlama);
  // Enough for the progress to be told on the way.
  windows_ = random_windows(240, kTokens, kLlama.n_vocabulary);
  const auto checkpoint = folder_ / "weights";
  const TokenWeights whole = value_of(measure_token_weights(*model_, windows_, {}, {}));
  auto expect_whole = [&](const TokenWeights& got) {
    for (TensorRole role : {attention_q, attention_v, attention_output, ffn_gate, ffn_down})
      EXPECT_TRUE(got.of(1, role).equal(whole.of(1, role))) << to_string(role);
  };
  auto stop_late = [&](const ProgressReport& report) {
    if (report.fraction > 0.2 && report.fraction < 1) request_interrupt();
  };
  auto stopped = measure_token_weights(*model_, windows_, checkpoint, stop_late);
  clear_interrupt();
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().message, "interrupted");
  double least = 1;
  expect_whole(
      value_of(measure_token_weights(*model_, windows_, checkpoint, [&](const ProgressReport& report) {
        least = std::min(least, report.fraction);
      })));
  EXPECT_GT(least, 0.1) << "some were done";
  // Damaged, or of other windows: as if there were none.
  std::filesystem::resize_file(checkpoint, std::filesystem::file_size(checkpoint) / 2);
  expect_whole(value_of(measure_token_weights(*model_, windows_, checkpoint, {})));
  std::swap(windows_[0], windows_[1]);
  const TokenWeights swapped = value_of(measure_token_weights(*model_, windows_, checkpoint, {}));
  EXPECT_FALSE(swapped.of(1, ffn_down).equal(whole.of(1, ffn_down)));
}

TEST_F(TokenWeightsTest, RefuseWindowsThatDoNotFitTheContext) {
  use(kLlama);
  EXPECT_FALSE(measure_token_weights(*model_, {}, {}, {}).ok());
}

TEST_F(TokenWeightsTest, OfTokensWithoutAGradientStayAboveZero) {
  TokenWeights weights;
  weights.put(0, attention_q, at::tensor({0.0f, 0.0f, 3.0f, 1.0f}).view({2, 2}));
  EXPECT_GT(weights.of(0, attention_q).min().item<float>(), 0.0f);
  EXPECT_NEAR(weights.of(0, attention_q).mean().item<float>(), 1.0f, 1e-6f);
  weights.put(0, attention_q, at::zeros({2, 2}));
  EXPECT_TRUE(weights.of(0, attention_q).equal(at::ones({2, 2})));
}

TEST_F(TokenWeightsTest, StopWhenAsked) {
  use(kLlama);
  request_interrupt();
  auto stopped = measure_token_weights(*model_, windows_, {}, {});
  clear_interrupt();
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().message, "interrupted");
}

}  // namespace
}  // namespace edgellm
