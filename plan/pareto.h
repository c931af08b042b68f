// Which of several plans or models nobody needs to look at, because another is both smaller (or faster) and
// better.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace edgellm {

// Of both, less is better.
struct TradeOff {
  double cost = 0;  // bytes, or seconds
  double loss = 0;  // of accuracy
};

// Indexes of the points that no other beats in one respect without being worse in the other, by rising cost.
// Of equal points the first is kept.
std::vector<size_t> pareto_front(std::span<const TradeOff> points);

}  // namespace edgellm
