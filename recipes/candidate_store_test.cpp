#include "recipes/candidate_store.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "core/base/temporary_folder.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

TEST(CandidateStore, WhatWasRemovedIsMadeAgainTheSame) {
  auto folder = TemporaryFolder::create("candidates");
  ASSERT_TRUE(folder.ok());
  auto source = tiny::open({});
  ThreadPool threads(1);
  CandidateStore store(folder->path(), *source, nullptr, threads);
  const GgufTensor& tensor = *source->find("blk.0.ffn_up.weight");
  EXPECT_TRUE(store.has(tensor, tensor.type)) << "the source's own";
  EXPECT_FALSE(store.has(tensor, TensorType::Q4_0));
  auto encoded = store.get(tensor, TensorType::Q4_0);
  ASSERT_TRUE(encoded.ok()) << encoded.error().message;
  const std::vector<std::byte> before(encoded->begin(), encoded->end());
  const auto path = CandidateStore::path_of(folder->path(), tensor.name, TensorType::Q4_0);
  ASSERT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(store.has(tensor, TensorType::Q4_0));
  EXPECT_TRUE(CandidateStore(folder->path(), *source, nullptr, threads).has(tensor, TensorType::Q4_0));
  store.remove(tensor, TensorType::Q4_0);
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(store.has(tensor, TensorType::Q4_0));
  store.remove(tensor, TensorType::Q8_0);  // never made: nothing happens
  auto again = store.get(tensor, TensorType::Q4_0);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(std::ranges::equal(*again, before));
}

}  // namespace
}  // namespace edgellm
