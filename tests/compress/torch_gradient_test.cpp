// Gradients through the trainable model: against finite differences, and with checkpointing against without.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "compress/torch_model/torch_checkpoint.h"
#include "compress/torch_model/torch_decoder.h"
#include "tests/compress/tiny_torch.h"

namespace edgellm {
namespace {

using tiny::kGemma3, tiny::kLlama, tiny::kQwen2, tiny::Shape, tiny::value_of;

// One block of a tiny model with fixed inputs and a scalar loss.
struct Block {
  explicit Block(const Shape& shape) : model(value_of(TorchModel::open(tiny::open(shape), {}))) {
    layer = value_of(model->load_layer(1));
    positions = model->positions(12);
    hidden = value_of(model->embed(tiny::random_windows(2, 12, shape.n_vocabulary)));
    direction = hidden.flip({0, 2}) + 0.1;
  }
  at::Tensor loss(bool checkpoint) const {
    at::Tensor y =
        checkpoint ? checkpointed_forward(layer, hidden, positions) : layer.forward(hidden, positions);
    return (y * direction).sum() + y.square().mean();
  }
  std::unique_ptr<TorchModel> model;
  TorchLayer layer;
  TorchPositions positions;
  at::Tensor hidden, direction;
};

std::vector<at::Tensor> train_all(Block& block) {
  std::vector<at::Tensor> trained = {block.hidden.set_requires_grad(true)};
  for (TensorRole role : block.layer.roles())
    trained.push_back(at::Tensor(block.layer.parameter(role)).set_requires_grad(true));
  return trained;
}

TEST(TorchGradient, OfEveryParameterEqualsFiniteDifferences) {
  for (const Shape& shape : {kLlama, kQwen2, kGemma3}) {
    Block block(shape);
    std::vector<at::Tensor> trained = train_all(block);
    std::vector<at::Tensor> gradients = torch::autograd::grad({block.loss(false)}, trained);
    at::NoGradGuard no_grad;
    for (size_t i = 0; i < trained.size(); ++i) {
      // Along the gradient itself, where the difference is largest.
      double length = gradients[i].norm().item<double>();
      ASSERT_GT(length, 0) << shape.family << " tensor " << i;
      double step = 2e-3 * trained[i].norm().item<double>() / length;
      trained[i].add_(gradients[i], step);
      double above = block.loss(false).item<double>();
      trained[i].add_(gradients[i], -2 * step);
      double below = block.loss(false).item<double>();
      trained[i].add_(gradients[i], step);
      EXPECT_NEAR((above - below) / (2 * step * length * length), 1, 2e-2) << shape.family << " tensor " << i;
    }
  }
}

TEST(TorchGradient, WithCheckpointingIsTheSame) {
  for (const Shape& shape : {kLlama, kQwen2, kGemma3}) {
    Block block(shape);
    std::vector<at::Tensor> trained = train_all(block);
    at::Tensor plain_loss = block.loss(false), loss = block.loss(true);
    EXPECT_EQ(plain_loss.item<float>(), loss.item<float>());
    std::vector<at::Tensor> plain = torch::autograd::grad({plain_loss}, trained);
    std::vector<at::Tensor> again = torch::autograd::grad({loss}, trained);
    for (size_t i = 0; i < trained.size(); ++i)
      EXPECT_LE(tiny::relative_difference(again[i], plain[i]), 1e-5) << shape.family << " tensor " << i;
  }
}

TEST(TorchGradient, WithCheckpointingGoesOnToWhatComputesAWeight) {
  Block block(kLlama);
  at::Tensor weight = block.layer.parameter(TensorRole::ffn_up).clone();
  at::Tensor scale = at::ones({weight.size(0), 1}).set_requires_grad(true);
  std::vector<at::Tensor> gradients;
  for (bool checkpoint : {false, true}) {
    block.layer.set_parameter(TensorRole::ffn_up, weight * scale);
    gradients.push_back(torch::autograd::grad({block.loss(checkpoint)}, {scale})[0]);
  }
  EXPECT_LE(tiny::relative_difference(gradients[1], gradients[0]), 1e-5);
}

TEST(TorchGradient, OfParametersOnlyNeedsNoGradientOfTheInput) {
  Block block(kQwen2);
  at::Tensor norm = at::Tensor(block.layer.parameter(TensorRole::ffn_norm)).set_requires_grad(true);
  at::Tensor plain = torch::autograd::grad({block.loss(false)}, {norm})[0];
  at::Tensor again = torch::autograd::grad({block.loss(true)}, {norm})[0];
  EXPECT_LE(tiny::relative_difference(again, plain), 1e-5);
}

TEST(TorchGradient, ReachesEveryLayerOfAWholeModel) {
  auto decoder = tiny::load_torch(tiny::open(kLlama));
  std::vector<at::Tensor> trained;
  for (TorchLayer& layer : decoder->layers())
    trained.push_back(at::Tensor(layer.parameter(TensorRole::attention_norm)).set_requires_grad(true));
  at::Tensor hidden = value_of(decoder->model().embed(tiny::random_windows(2, 10, kLlama.n_vocabulary)));
  std::vector<std::vector<at::Tensor>> gradients;
  for (bool checkpoint : {false, true}) {
    at::Tensor loss =
        decoder->head().logits(decoder->forward(hidden, checkpoint)).log_softmax(-1).select(-1, 3).mean();
    gradients.push_back(torch::autograd::grad({loss}, trained));
  }
  for (size_t i = 0; i < trained.size(); ++i) {
    EXPECT_GT(gradients[0][i].abs().max().item<double>(), 0) << "layer " << i;
    EXPECT_LE(tiny::relative_difference(gradients[1][i], gradients[0][i]), 1e-4) << "layer " << i;
  }
}

}  // namespace
}  // namespace edgellm
