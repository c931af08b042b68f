#include "plan/pareto.h"

#include <algorithm>
#include <numeric>

namespace edgellm {

std::vector<size_t> pareto_front(std::span<const TradeOff> points) {
  std::vector<size_t> order(points.size()), front;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const TradeOff &one = points[a], &other = points[b];
    return one.cost != other.cost ? one.cost < other.cost : one.loss < other.loss;
  });
  for (size_t i : order)
    if (front.empty() || points[i].loss < points[front.back()].loss) front.push_back(i);
  return front;
}

}  // namespace edgellm
