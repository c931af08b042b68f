#include "compress/torch_model/torch_positions.h"

#include <limits>

#include "core/arch/rope_frequencies.h"

namespace edgellm {
namespace {

struct Angles {
  at::Tensor cosine, sine;
};

Angles angles_of(const Hyperparameters& h, std::span<const float> factors, bool local, int64_t n_tokens,
                 at::Device device) {
  RopeFrequencies rope = rope_frequencies(h, factors, local);
  at::Tensor radians = at::empty({int64_t(rope.radians.size())}, at::kDouble);
  std::copy(rope.radians.begin(), rope.radians.end(), radians.data_ptr<double>());
  at::Tensor angle = at::outer(at::arange(n_tokens, at::kDouble), radians);
  auto finished = [&](const at::Tensor& x) { return x.mul(rope.magnitude).to(device, at::kFloat); };
  return {finished(angle.cos()), finished(angle.sin())};
}

// n_window 0: every earlier position is seen.
at::Tensor mask_of(int64_t n_tokens, int64_t n_window, at::Device device) {
  at::Tensor query = at::arange(n_tokens, at::kLong).unsqueeze(1),
             key = at::arange(n_tokens, at::kLong).unsqueeze(0);
  at::Tensor hidden = key.gt(query);
  if (n_window > 0) hidden = hidden.logical_or(key.le(query - n_window));
  at::Tensor mask = at::zeros({n_tokens, n_tokens}, at::kFloat);
  return mask.masked_fill_(hidden, -std::numeric_limits<float>::infinity()).to(device);
}

}  // namespace

TorchPositions torch_positions(const Hyperparameters& h, std::span<const float> rope_factors,
                               int64_t n_tokens, at::Device device) {
  TorchPositions positions;
  positions.mask = mask_of(n_tokens, 0, device);
  if (h.sliding_window) positions.local_mask = mask_of(n_tokens, h.sliding_window, device);
  if (h.architecture->rope == RopeKind::none) return positions;
  auto [cosine, sine] = angles_of(h, rope_factors, false, n_tokens, device);
  positions.cosine = cosine;
  positions.sine = sine;
  if (h.sliding_window) {
    auto [local_cosine, local_sine] = angles_of(h, {}, true, n_tokens, device);
    positions.local_cosine = local_cosine;
    positions.local_sine = local_sine;
  }
  return positions;
}

}  // namespace edgellm
