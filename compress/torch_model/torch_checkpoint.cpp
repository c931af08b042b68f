#include "compress/torch_model/torch_checkpoint.h"

#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace edgellm {
namespace {

// What the way back needs beside tensors, in the form that a graph node can keep.
struct Block : torch::CustomClassHolder {
  Block(TorchLayer l, TorchPositions p) : layer(std::move(l)), positions(std::move(p)) {}
  TorchLayer layer;
  TorchPositions positions;
};
using BlockPointer = c10::intrusive_ptr<Block>;

class Recomputed : public torch::autograd::Function<Recomputed> {
 public:
  // parameters: those of block->layer, in the order of its roles.
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& hidden,
                            at::TensorList parameters, const BlockPointer& block) {
    torch::autograd::variable_list saved = {hidden};
    saved.insert(saved.end(), parameters.begin(), parameters.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["block"] = c10::IValue::make_capsule(block);
    return block->layer.forward(hidden, block->positions);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    auto block = c10::static_intrusive_pointer_cast<Block>(context->saved_data["block"].toCapsule());
    torch::autograd::variable_list inputs = context->get_saved_variables(), wanted;
    TorchLayer layer = block->layer;
    std::vector<TensorRole> roles = layer.roles();
    for (size_t i = 0; i < inputs.size(); ++i) {
      bool needed = inputs[i].requires_grad();
      inputs[i] = inputs[i].detach().set_requires_grad(needed);
      if (needed) wanted.push_back(inputs[i]);
      if (i > 0) layer.set_parameter(roles[i - 1], inputs[i]);
    }
    at::AutoGradMode enable(true);
    at::Tensor output = layer.forward(inputs[0], block->positions);
    torch::autograd::variable_list found =
        torch::autograd::grad({output}, wanted, {gradients[0]}, c10::nullopt, false, true);
    // One for each argument of forward; the block takes none.
    torch::autograd::variable_list result;
    size_t next = 0;
    for (const at::Tensor& input : inputs)
      result.push_back(input.requires_grad() ? found[next++] : at::Tensor());
    result.emplace_back();
    return result;
  }
};

}  // namespace

at::Tensor checkpointed_forward(const TorchLayer& layer, const at::Tensor& hidden,
                                const TorchPositions& positions) {
  std::vector<at::Tensor> parameters;
  TorchLayer bare = layer;
  for (TensorRole role : layer.roles()) {
    parameters.push_back(layer.parameter(role));
    // The node must not keep what its own inputs come from alive twice.
    bare.set_parameter(role, layer.parameter(role).detach());
  }
  return Recomputed::apply(hidden, at::TensorList(parameters),
                           c10::make_intrusive<Block>(std::move(bare), positions));
}

}  // namespace edgellm
