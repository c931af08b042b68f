#include "apps/report/pareto.h"

#include <algorithm>
#include <numeric>

namespace edgellm {

std::vector<size_t> pareto_front(std::span<const TradeOff> points, Better better) {
  auto quality = [&](size_t i) { return better == Better::less ? -points[i].quality : points[i].quality; };
  std::vector<size_t> order(points.size()), front;
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return points[a].cost != points[b].cost ? points[a].cost < points[b].cost : quality(a) > quality(b);
  });
  for (size_t i : order)
    if (front.empty() || quality(i) > quality(front.back())) front.push_back(i);
  return front;
}

}  // namespace edgellm
