// Whether products may be in bfloat16 while a plan's tensors are rounded and trained.
#pragma once

#include "core/model_file/gguf.h"
#include "recipes/quantize.h"

namespace edgellm {

// Of more bits the rounding of bfloat16 (a tenth of a percent of a weight) is no longer small beside the
// type's own: Q5_K rounds by half a percent, Q8_0 by a fifth of one.
inline constexpr double kMostBitsOfRoundedProducts = 5.5;

// Where the weights that are planned take no more than those on average.
inline bool rounds_products(const GgufFile& source, const QuantizationPlan& plan) {
  double n_bits = 0, n_values = 0;
  for (const auto& [name, type] : plan.types) {
    const GgufTensor* tensor = source.find(name);
    if (!tensor) continue;
    n_bits += info(type).bits_per_value() * double(tensor->n_values());
    n_values += double(tensor->n_values());
  }
  return n_bits <= kMostBitsOfRoundedProducts * n_values;
}

}  // namespace edgellm
