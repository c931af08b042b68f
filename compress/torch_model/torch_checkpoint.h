// Gradient checkpointing (arXiv 1604.06174): a block's inner values are not kept for its gradient but
// computed again from its input, so that training holds one hidden state a block instead of some thirty.
#pragma once

#include <ATen/ATen.h>

#include "compress/torch_model/torch_layer.h"
#include "compress/torch_model/torch_positions.h"

namespace edgellm {

// The same as layer.forward(hidden, positions), gradients of hidden and of the layer's parameters included.
// The layer's tensors may be computed ones: their gradients go on to what they come from.
at::Tensor checkpointed_forward(const TorchLayer& layer, const at::Tensor& hidden,
                                const TorchPositions& positions);

}  // namespace edgellm
