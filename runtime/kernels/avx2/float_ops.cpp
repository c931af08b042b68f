#include "runtime/kernels/avx2/avx2.h"
#include "runtime/kernels/avx2/float_vector.h"

#define EDGELLM_ISA avx2
#include "runtime/kernels/float_ops.inl.h"
