#include "recipes/plan_search.h"

#include <gtest/gtest.h>

#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

TEST(CountedBytes, OfALookedUpTensorOnlyTheRowsOfTheContextCount) {
  auto source = tiny::open({.tied = false, .type = TensorType::F16});
  ASSERT_TRUE(source);
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
  auto source = tiny::open({.tied = false, .type = TensorType::F16});
  ASSERT_TRUE(source);
  auto candidates = list_candidates(*source);
  ASSERT_TRUE(candidates.ok());
  uint64_t all = *smallest_budget(*source, *candidates, false, std::nullopt);
  EXPECT_LT(*smallest_budget(*source, *candidates, false, LookupTensor{"token_embd.weight", 100}), all);
  EXPECT_LT(*smallest_budget(*source, *candidates, true, std::nullopt), all);
}

}  // namespace
}  // namespace edgellm
