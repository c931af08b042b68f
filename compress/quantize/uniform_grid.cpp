#include "compress/quantize/uniform_grid.h"

namespace edgellm {

at::Tensor round_to_uniform_grid(const at::Tensor& weights, int n_bits, int64_t n_group) {
  at::Tensor groups = weights.reshape({-1, n_group});
  at::Tensor least = groups.amin(1, true), most = groups.amax(1, true);
  const int64_t last = (int64_t{1} << n_bits) - 1;
  at::Tensor step = (most - least).clamp_min(1e-5) / double(last);
  at::Tensor zero = (-(least / step).round()).clamp(0, last);
  at::Tensor codes = ((groups / step).round() + zero).clamp(0, last);
  return ((codes - zero) * step).reshape(weights.sizes());
}

}  // namespace edgellm
