#include "compress/train/training_steps.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <random>
#include <utility>

namespace edgellm {
namespace {

// Steps in which the rate rises to its full height.
constexpr double kWarmUpSteps = 4;

}  // namespace

std::vector<size_t> shuffled_steps(size_t n_steps, size_t epoch) {
  std::vector<size_t> order(n_steps);
  std::iota(order.begin(), order.end(), size_t{0});
  // Not std::shuffle, which differs between standard libraries.
  std::mt19937 random{uint32_t(epoch)};
  for (size_t i = order.size(); i-- > 1;) std::swap(order[i], order[random() % (i + 1)]);
  return order;
}

double rate_share(size_t n_done, size_t n_steps) {
  const double rise = std::min(1.0, double(n_done + 1) / kWarmUpSteps),
               fall = 0.5 * (1 + std::cos(std::numbers::pi * double(n_done) / double(n_steps)));
  return rise * fall;
}

}  // namespace edgellm
