#include "plan/block_influence.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <fmt/format.h>
#include <numeric>
#include <vector>

namespace edgellm {

Result<uint32_t> layers_of_fraction(double fraction, uint32_t n_layers) {
  if (!(fraction > 0 && fraction < 1))
    return Error{fmt::format("wanted a fraction between 0 and 1 of the layers, got {}", fraction)};
  if (n_layers < 2) return Error{"a model of one layer has none to leave out"};
  auto n = uint32_t(std::lround(fraction * double(n_layers)));
  return std::clamp<uint32_t>(n, 1, n_layers - 1);
}

std::set<uint32_t> layers_of_least_influence(std::span<const double> influence, uint32_t n) {
  assert(n < influence.size());
  std::vector<uint32_t> order(influence.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return influence[a] != influence[b] ? influence[a] < influence[b] : a > b;
  });
  return {order.begin(), order.begin() + n};
}

}  // namespace edgellm
