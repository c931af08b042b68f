#include "compress/torch_model/torch_call.h"

#include <gtest/gtest.h>

namespace edgellm {
namespace {

TEST(TorchCall, GivesWhatTheFunctionReturns) {
  Result<int64_t> sum = torch_call("add", [] {
    return Result<int64_t>(at::ones({2, 3}).sum().item<int64_t>());
  });
  ASSERT_TRUE(sum.ok()) << sum.error().message;
  EXPECT_EQ(*sum, 6);
}

TEST(TorchCall, TurnsAnExceptionOfLibTorchIntoAnErrorOfOneLine) {
  Result<at::Tensor> product = torch_call("multiply", [] {
    return Result<at::Tensor>(at::ones({2, 3}).matmul(at::ones({2, 3})));
  });
  ASSERT_FALSE(product.ok());
  EXPECT_TRUE(product.error().message.starts_with("multiply: ")) << product.error().message;
  EXPECT_EQ(product.error().message.find('\n'), std::string::npos) << product.error().message;
}

}  // namespace
}  // namespace edgellm
