// Which types hold a weight of exactly zero, whatever its neighbours in the block are: what a pruned weight
// needs to stay pruned.
#pragma once

#include "core/blocks/tensor_type.h"

namespace edgellm {

// True for plain floats and for types of levels times a scale with zero among the levels. False where a
// minimum is added (Q4_1, Q5_1, Q2_K, Q4_K, Q5_K: zero lies on the grid by chance only) and where the levels
// are odd or lie beside zero (IQ1, IQ2, IQ3, IQ4, Q1_0).
bool holds_exact_zero(TensorType type);

}  // namespace edgellm
