#include "compress/torch_model/torch_threads.h"

#include <ATen/Parallel.h>

#include "core/base/thread_pool.h"

namespace edgellm {

void set_torch_threads(size_t n_threads) {
  if (n_threads == 0) n_threads = usable_cores().size();
  at::set_num_threads(int(n_threads));
}

}  // namespace edgellm
