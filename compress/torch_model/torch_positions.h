// What a block computes from positions alone, the same for every layer: the rotary angles and the masks.
#pragma once

#include <ATen/ATen.h>
#include <span>

#include "core/arch/architecture.h"

namespace edgellm {

// Of positions 0 .. n_tokens - 1, float. The local ones are those of sliding-window layers, and undefined in
// a model without them.
struct TorchPositions {
  at::Tensor cosine, sine, local_cosine, local_sine;  // [n_tokens, n_rotated / 2]
  // [n_tokens, n_tokens], query by key: 0 where the query may look, minus infinity elsewhere.
  at::Tensor mask, local_mask;

  int64_t n_tokens() const { return mask.size(0); }
};

// rope_factors: [n_rotated / 2], or empty.
TorchPositions torch_positions(const Hyperparameters& hyperparameters, std::span<const float> rope_factors,
                               int64_t n_tokens, at::Device device = at::kCPU);

}  // namespace edgellm
