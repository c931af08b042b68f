#include "recipes/compress/planned_matrices.h"

#include "recipes/role_tensor.h"

namespace edgellm {

const GgufTensor* PlannedMatrices::of_layer(TensorRole role, uint32_t layer) const {
  if (plan_.dropped_layers.contains(layer)) return nullptr;
  return with_new_type(find_tensor(source_, hyperparameters_, role, layer));
}

const GgufTensor* PlannedMatrices::head() const {
  return with_new_type(source_.find(has_tied_embedding(source_) ? "token_embd.weight" : "output.weight"));
}

const GgufTensor* PlannedMatrices::with_new_type(const GgufTensor* tensor) const {
  if (!tensor) return nullptr;
  auto planned = plan_.types.find(tensor->name);
  return planned == plan_.types.end() || planned->second == tensor->type ? nullptr : tensor;
}

}  // namespace edgellm
