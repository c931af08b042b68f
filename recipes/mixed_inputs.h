// What a value matrix is multiplied with in effect: inputs mixed as attention mixes what it gives.
#pragma once

#include <vector>

#include "core/arch/architecture.h"
#include "runtime/graph/decoder.h"

namespace edgellm {

// An error e of a row of the value matrix reaches the output of a query with the weights a as
// sum over j of a[j] (e . x[j]) = e . z, z = sum over j of a[j] x[j]. Adds z^2 to sums, [n_embedding], of
// every other query (weighed twice) and of one head a query, each in turn: a fair sample of all.
void add_mixed_squares(const ObservedAttention& attention, const Hyperparameters& hyperparameters,
                       std::vector<float>& sums);

}  // namespace edgellm
