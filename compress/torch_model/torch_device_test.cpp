#include "compress/torch_model/torch_device.h"

#include <gtest/gtest.h>

namespace edgellm {
namespace {

TEST(TorchDevice, CpuIsAlwaysThere) {
  EXPECT_EQ(torch_devices().front(), "cpu");
  Result<TorchCompute> compute = torch_compute("cpu", "f32");
  ASSERT_TRUE(compute.ok()) << compute.error().message;
  EXPECT_TRUE(compute->device.is_cpu());
  EXPECT_EQ(compute->type, at::kFloat);
}

TEST(TorchDevice, AutomaticTypeOnTheCpuFollowsItsInstructions) {
  Result<TorchCompute> compute = torch_compute("cpu", "auto");
  ASSERT_TRUE(compute.ok()) << compute.error().message;
  EXPECT_EQ(compute->type, cpu_has_bfloat16() ? at::kBFloat16 : at::kFloat);
}

TEST(TorchDevice, InFloatOnlyProductsMayBeRounded) {
  Result<TorchCompute> compute = torch_compute_in_float("cpu", true);
  ASSERT_TRUE(compute.ok()) << compute.error().message;
  EXPECT_EQ(compute->type, at::kFloat);
  EXPECT_EQ(compute->product_type(), cpu_has_bfloat16() ? at::kBFloat16 : at::kFloat);
  EXPECT_EQ(torch_compute_in_float("cpu", false)->product_type(), at::kFloat);
  EXPECT_FALSE(torch_compute_in_float("toaster", true).ok());
}

TEST(TorchDevice, AnUnknownOrAbsentDeviceIsNamed) {
  for (std::string name : {"toaster", "cuda:63", ""}) {
    Result<TorchCompute> compute = torch_compute(name, "f32");
    ASSERT_FALSE(compute.ok()) << name;
    EXPECT_NE(compute.error().message.find("device"), std::string::npos) << compute.error().message;
  }
}

TEST(TorchDevice, AnUnknownTypeIsNamed) {
  Result<TorchCompute> compute = torch_compute("cpu", "f8");
  ASSERT_FALSE(compute.ok());
  EXPECT_NE(compute.error().message.find("f8"), std::string::npos) << compute.error().message;
}

}  // namespace
}  // namespace edgellm
