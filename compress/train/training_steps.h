// What every training on the grid does alike: the order of an epoch's steps, and how large they are.
#pragma once

#include <cstddef>
#include <vector>

namespace edgellm {

// Steps 0 .. n_steps - 1 in an order that depends on the epoch alone.
std::vector<size_t> shuffled_steps(size_t n_steps, size_t epoch);

// Of the highest learning rate, after n_done of all n_steps: it rises over the first four and falls as a
// cosine.
double rate_share(size_t n_done, size_t n_steps);

}  // namespace edgellm
