// The recipes that need LibTorch, as programs see them: no header of this folder includes LibTorch's. Each
// has two implementations. The files beside this one are linked into edgellm-torch only; no_torch.cpp, where
// every one of them says that it is not there, into edgellm and the tests of everything else.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

// Whether this program has LibTorch in it.
bool compress_is_linked();

// The LibTorch that was found and what it can compute on.
struct TorchDescription {
  std::string version;               // "1.13.1"
  size_t n_threads = 0;              // of products on the CPU
  bool cpu_has_bfloat16 = false;     // products in bfloat16 are faster than in float on this CPU
  std::vector<std::string> devices;  // "cpu", "cuda:0", ... as --device takes them
};
// n_threads 0: one per usable core.
Result<TorchDescription> describe_torch(size_t n_threads);
// Error for an unknown name, and for a device that is not there (says which are).
Status check_torch_device(const std::string& name);

}  // namespace edgellm
