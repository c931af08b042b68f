#include "recipes/compress/compress.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>

#include "compress/torch_model/torch_device.h"
#include "compress/torch_model/torch_threads.h"

namespace edgellm {

bool compress_is_linked() {
  return true;
}

Result<TorchDescription> describe_torch(size_t n_threads) {
  set_torch_threads(n_threads);
  TorchDescription found;
  found.version = fmt::format("{}.{}.{}", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR, TORCH_VERSION_PATCH);
  found.n_threads = size_t(at::get_num_threads());
  found.cpu_has_bfloat16 = cpu_has_bfloat16();
  found.devices = torch_devices();
  return found;
}

Status check_torch_device(const std::string& name) {
  auto compute = torch_compute(name);
  return compute.ok() ? Status() : compute.error();
}

}  // namespace edgellm
