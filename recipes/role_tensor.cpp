#include "recipes/role_tensor.h"

namespace edgellm {

const GgufTensor* find_tensor(const GgufFile& source, const Hyperparameters& model, TensorRole role,
                              uint32_t layer) {
  for (const TensorRule& rule : model.architecture->tensors)
    if (rule.role == role) return source.find(tensor_name(rule.gguf_name, layer));
  return nullptr;
}

}  // namespace edgellm
