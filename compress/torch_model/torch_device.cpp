#include "compress/torch_model/torch_device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "compress/torch_model/torch_call.h"

namespace edgellm {
namespace {

Result<at::Device> device_named(std::string_view name) {
  return torch_call("device", [&]() -> Result<at::Device> {
    at::Device device{std::string(name)};
    std::vector<std::string> there = torch_devices();
    at::Device wanted = device.is_cuda() && !device.has_index() ? at::Device(at::kCUDA, 0) : device;
    if (std::find(there.begin(), there.end(), wanted.str()) == there.end())
      return Error{
          fmt::format("device: wanted '{}', this LibTorch finds {}{}", name, fmt::join(there, ", "),
                      device.is_cuda() && there.size() == 1
                          ? "; a GPU needs a LibTorch with CUDA (docs/dependencies.md) and NVIDIA's driver"
                          : "")};
    return wanted;
  });
}

}  // namespace

std::vector<std::string> torch_devices() {
  std::vector<std::string> names = {"cpu"};
  if (at::hasCUDA()) {
    int n_cuda = at::detail::getCUDAHooks().getNumGPUs();
    for (int i = 0; i < n_cuda; ++i) names.push_back(fmt::format("cuda:{}", i));
  }
  return names;
}

bool cpu_has_bfloat16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#elif defined(__aarch64__)
  return getauxval(AT_HWCAP2) & HWCAP2_BF16;
#else
  return false;
#endif
}

Result<TorchCompute> torch_compute(std::string_view device, std::string_view type) {
  TorchCompute compute;
  EDGELLM_ASSIGN_OR_RETURN(compute.device, device_named(device));
  if (type == "bf16" || (type == "auto" && (compute.device.is_cuda() || cpu_has_bfloat16())))
    compute.type = at::kBFloat16;
  else if (type != "f32" && type != "auto")
    return Error{fmt::format("compute type: wanted f32, bf16 or auto, got '{}'", type)};
  return compute;
}

Result<TorchCompute> torch_compute_in_float(std::string_view device, bool rounds_products) {
  EDGELLM_ASSIGN_OR_RETURN(TorchCompute compute, torch_compute(device, "f32"));
  if (rounds_products && compute.device.is_cpu() && cpu_has_bfloat16()) compute.products = at::kBFloat16;
  return compute;
}

}  // namespace edgellm
