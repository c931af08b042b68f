#include "core/blocks/exact_zero.h"

namespace edgellm {

bool holds_exact_zero(TensorType type) {
  switch (type) {
    case TensorType::F64:
    case TensorType::F32:
    case TensorType::F16:
    case TensorType::BF16:
    case TensorType::Q4_0:
    case TensorType::Q5_0:
    case TensorType::Q8_0:
    case TensorType::Q3_K:
    case TensorType::Q6_K:
    case TensorType::Q8_K:
    case TensorType::Q2_0:
    case TensorType::TQ1_0:
    case TensorType::TQ2_0:
    case TensorType::MXFP4:
    case TensorType::NVFP4:
      return true;
    default:
      return false;
  }
}

}  // namespace edgellm
