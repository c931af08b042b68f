// How many threads LibTorch computes with.
#pragma once

#include <cstddef>

namespace edgellm {

// 0: one per usable core (core/base/thread_pool.h). LibTorch's own default may be one. Of the whole process.
void set_torch_threads(size_t n_threads);

}  // namespace edgellm
