#include "compress/torch_model/torch_threads.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "core/base/thread_pool.h"

namespace edgellm {
namespace {

TEST(TorchThreads, AreAsManyAsAskedFor) {
  set_torch_threads(3);
  EXPECT_EQ(at::get_num_threads(), 3);
}

TEST(TorchThreads, AreOnePerUsableCoreByDefault) {
  set_torch_threads(0);
  EXPECT_EQ(size_t(at::get_num_threads()), usable_cores().size());
}

}  // namespace
}  // namespace edgellm
