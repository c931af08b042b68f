#include "recipes/plan_search.h"

#include <gtest/gtest.h>

#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

TEST(CountedBytes, OfALookedUpTensorOnlyTheRowsOfTheContextCount) {
  tiny::Shape shape;
  shape.tied = false;
  shape.type = TensorType::F16;
  tiny::TemporaryFile file;
  ASSERT_TRUE(tiny::write(file.path(), tiny::metadata_of(shape), tiny::tensors_of(shape)).ok());
  auto source = GgufFile::open(file.path());
  ASSERT_TRUE(source.ok());
  const uint64_t n_embedding_bytes = source->find("token_embd.weight")->data.size(),
                 whole = *planned_file_bytes(*source, {});
  LookupTensor lookup = {"token_embd.weight", 100};
  EXPECT_EQ(*counted_bytes(*source, {}, std::nullopt), whole);
  EXPECT_EQ(*counted_bytes(*source, {}, lookup), whole - n_embedding_bytes + 100);
  lookup.most_bytes = uint64_t{1} << 40;
  EXPECT_EQ(*counted_bytes(*source, {}, lookup), whole);

  QuantizationPlan plan;
  plan.types["token_embd.weight"] = TensorType::Q8_0;
  lookup.most_bytes = 100;
  EXPECT_EQ(*counted_bytes(*source, plan, lookup), *counted_bytes(*source, {}, lookup));
  EXPECT_LT(*counted_bytes(*source, plan, std::nullopt), whole);
}

TEST(SmallestBudget, IsLowerWhereATensorIsOnlyLookedUp) {
  tiny::Shape shape;
  shape.tied = false;
  shape.type = TensorType::F16;
  tiny::TemporaryFile file;
  ASSERT_TRUE(tiny::write(file.path(), tiny::metadata_of(shape), tiny::tensors_of(shape)).ok());
  auto source = GgufFile::open(file.path());
  ASSERT_TRUE(source.ok());
  auto candidates = list_candidates(*source);
  ASSERT_TRUE(candidates.ok());
  uint64_t all = *smallest_budget(*source, *candidates, false, std::nullopt);
  EXPECT_LT(*smallest_budget(*source, *candidates, false, LookupTensor{"token_embd.weight", 100}), all);
  EXPECT_LT(*smallest_budget(*source, *candidates, true, std::nullopt), all);
}

}  // namespace
}  // namespace edgellm
