#include "recipes/plan_search.h"

#include <gtest/gtest.h>

#include "core/base/temporary_folder.h"
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
  auto candidates = list_candidates(*source, Codebooks::none);
  ASSERT_TRUE(candidates.ok());
  uint64_t all = *smallest_budget(*source, *candidates, false, std::nullopt);
  EXPECT_LT(*smallest_budget(*source, *candidates, false, LookupTensor{"token_embd.weight", 100}), all);
  EXPECT_LT(*smallest_budget(*source, *candidates, true, std::nullopt), all);
}

TEST(ListCandidates, CodebookTypesComeFinestLastAndAreNoProbe) {
  auto source = tiny::open({.n_embedding = 256, .type = TensorType::F16});
  ASSERT_TRUE(source);
  auto without = list_candidates(*source, Codebooks::none), with = list_candidates(*source, Codebooks::all);
  ASSERT_TRUE(without.ok() && with.ok());
  ASSERT_EQ(without->size(), with->size());
  size_t n_with = 0;
  for (size_t i = 0; i < with->size(); ++i) {
    const TensorCandidates& c = (*with)[i];
    EXPECT_EQ(c.probe, (*without)[i].types.front()) << c.tensor->name;
    for (size_t t = 1; t < c.types.size(); ++t)
      EXPECT_LE(info(c.types[t - 1]).bits_per_value(), info(c.types[t]).bits_per_value()) << c.tensor->name;
    const bool is_wide = c.tensor->n_columns() % 256 == 0;
    n_with += is_wide;
    EXPECT_EQ(c.types.front(), is_wide ? TensorType::IQ2_XXS : c.probe) << c.tensor->name;
  }
  EXPECT_GT(n_with, 0u);
  // What needs codebooks is smaller than what does without them.
  EXPECT_LT(*smallest_budget(*source, *with, false, std::nullopt),
            *smallest_budget(*source, *without, false, std::nullopt));
}

TEST(MeasureErrors, GoOnFromWhatIsKnown) {
  auto source = tiny::open({.n_embedding = 256, .type = TensorType::F16});
  ASSERT_TRUE(source);
  auto folder = TemporaryFolder::create("errors");
  ASSERT_TRUE(folder.ok());
  const auto cache = folder->path() / "errors.json";
  ThreadPool threads(1);
  ImportanceMatrix importance;
  size_t n_measured = 0;
  Progress progress = [&](const ProgressReport& report) { n_measured += !report.note.empty(); };
  auto first = list_candidates(*source, Codebooks::none);
  ASSERT_TRUE(first.ok() && measure_errors(*source, importance, 64, cache, threads, {}, *first).ok());
  auto again = list_candidates(*source, Codebooks::none);
  ASSERT_TRUE(again.ok() && measure_errors(*source, importance, 64, cache, threads, progress, *again).ok());
  EXPECT_EQ(n_measured, 0u);
  for (size_t i = 0; i < first->size(); ++i)
    EXPECT_EQ((*first)[i].relative_error, (*again)[i].relative_error) << (*first)[i].tensor->name;
  // Coarser types have larger errors.
  auto with = list_candidates(*source, Codebooks::all);
  ASSERT_TRUE(with.ok() && measure_errors(*source, importance, 64, cache, threads, {}, *with).ok());
  for (const TensorCandidates& c : *with)
    if (c.types.front() == TensorType::IQ2_XXS) {
      EXPECT_GT(c.relative_error[0], c.relative_error[c.types.size() - 2]) << c.tensor->name;
    }
}

}  // namespace
}  // namespace edgellm
