// Where and with which numbers LibTorch computes: chosen by the user, never assumed.
#pragma once

#include <ATen/ATen.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

struct TorchCompute {
  at::Device device = at::kCPU;
  at::ScalarType type = at::kFloat;  // of weights and products: float or bfloat16
  // Of the products of layers' matrices, where it is another: weights and inputs are rounded to it for them.
  std::optional<at::ScalarType> products = {};

  at::ScalarType product_type() const { return products.value_or(type); }
  at::TensorOptions options() const { return at::TensorOptions().device(device).dtype(type); }
};

// "cpu", "cuda", "cuda:1"; type "f32", "bf16", or "auto": bfloat16 on CUDA and where the CPU multiplies it in
// hardware, float elsewhere. Error for an unknown name, and for a device that is not there (says which are).
Result<TorchCompute> torch_compute(std::string_view device = "cpu", std::string_view type = "auto");

// The devices that are there, as torch_compute takes them: "cpu" and then "cuda:0", ...
std::vector<std::string> torch_devices();

// In float; with rounds_products but for the products of layers' matrices, which are in bfloat16 where the
// CPU multiplies it in hardware.
Result<TorchCompute> torch_compute_in_float(std::string_view device, bool rounds_products);

// Whether the CPU has instructions for products of bfloat16 (AVX-512 BF16, AMX, Arm's BF16). Without them
// LibTorch computes them too, but slower than in float.
bool cpu_has_bfloat16();

}  // namespace edgellm
