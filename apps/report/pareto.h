// Which of several models nobody needs to look at, because another is both smaller (or faster) and better.
#pragma once

#include <span>
#include <vector>

#include "apps/report/table.h"

namespace edgellm {

struct TradeOff {
  double cost = 0;     // bytes, or seconds: less is better
  double quality = 0;  // better as Better says
};

// Indexes of the points that no other beats in one respect without being worse in the other, by rising cost.
// Of equal points the first is kept.
std::vector<size_t> pareto_front(std::span<const TradeOff> points, Better better);

}  // namespace edgellm
