// The families, one data file each; architecture.cpp lists them.
#pragma once

#include "core/arch/architecture.h"

namespace edgellm {

extern const Architecture kLlama, kDeci, kQwen2, kGemma3;

}  // namespace edgellm
