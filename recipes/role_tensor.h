// The tensor of a file that plays a role in a layer.
#pragma once

#include "core/arch/architecture.h"
#include "core/model_file/gguf.h"

namespace edgellm {

// Null where the family or the file has none.
const GgufTensor* find_tensor(const GgufFile& source, const Hyperparameters& model, TensorRole role,
                              uint32_t layer);

}  // namespace edgellm
