#include "recipes/plan_search.h"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"
#include "recipes/json_file.h"
#include "recipes/plan_log.h"
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

TEST(ListCandidates, TypesComeFinestLastAndCodebooksAreNoProbe) {
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
    EXPECT_EQ(c.types.front(), is_wide ? TensorType::IQ1_S : c.probe) << c.tensor->name;
  }
  EXPECT_GT(n_with, 0u);
  // What needs codebooks is smaller than what does without them.
  EXPECT_LT(*smallest_budget(*source, *with, false, std::nullopt),
            *smallest_budget(*source, *without, false, std::nullopt));
}

TEST(ListCandidates, AreProbedInAnotherTypeThanTheirOwnWhereThereIsOne) {
  for (TensorType type : {TensorType::Q2_K, TensorType::IQ2_XS, TensorType::IQ2_XXS}) {
    auto source = tiny::open({.n_embedding = 256, .head_width = 64, .n_feed_forward = {256}, .type = type});
    ASSERT_TRUE(source);
    for (Codebooks codebooks : {Codebooks::none, Codebooks::all}) {
      auto candidates = list_candidates(*source, codebooks);
      ASSERT_TRUE(candidates.ok());
      for (const TensorCandidates& c : *candidates) {
        EXPECT_EQ(c.types.back(), c.tensor->type);
        EXPECT_EQ(c.probe == c.tensor->type, c.types.size() == 1) << c.tensor->name;
      }
    }
  }
}

TEST(MeasureErrors, GoOnFromWhatIsKnown) {
  auto source = tiny::open({.n_embedding = 256, .type = TensorType::F16});
  ASSERT_TRUE(source);
  auto folder = TemporaryFolder::create("errors");
  ASSERT_TRUE(folder.ok());
  const auto cache = folder->path() / "errors.json";
  ThreadPool threads(1);
  ImportanceMatrix importance;
  auto first = list_candidates(*source, Codebooks::none);
  ASSERT_TRUE(first.ok() && measure_errors(*source, importance, 64, cache, threads, {}, *first).ok());
  // What is kept is taken as it is.
  auto kept = read_json<nlohmann::json>(cache);
  ASSERT_TRUE(kept);
  const std::string name = first->front().tensor->name, type(to_string(first->front().types.front()));
  EXPECT_EQ((*kept)[name][type], first->front().relative_error.front());
  (*kept)[name][type] = 0.123;
  ASSERT_TRUE(write_text_file(cache, kept->dump()).ok());
  auto again = list_candidates(*source, Codebooks::none);
  ASSERT_TRUE(again.ok() && measure_errors(*source, importance, 64, cache, threads, {}, *again).ok());
  EXPECT_EQ(again->front().relative_error.front(), 0.123);
  for (size_t i = 1; i < first->size(); ++i)
    EXPECT_EQ((*first)[i].relative_error, (*again)[i].relative_error) << (*first)[i].tensor->name;
  auto with = list_candidates(*source, Codebooks::all);
  ASSERT_TRUE(with.ok() && measure_errors(*source, importance, 64, cache, threads, {}, *with).ok());
  // Coarser types have larger errors.
  for (const TensorCandidates& c : *with)
    if (c.types.front() == TensorType::IQ1_S) {
      EXPECT_GT(c.relative_error[0], c.relative_error[c.types.size() - 2]) << c.tensor->name;
    }
}

TEST(PlansToJudge, AreTheBestOnceEachAndNoneFarBehind) {
  auto plan = [](const char* name, TensorType type, double kl) {
    MeasuredPlan p;
    p.name = name;
    p.plan.types["blk.0.attn_q.weight"] = type;
    p.kl = kl;
    return p;
  };
  const std::vector<MeasuredPlan> tried = {
      plan("predicted", TensorType::Q4_K, 0.2), plan("searched", TensorType::Q4_K, 0.2),
      plan("near", TensorType::Q3_K, 0.25), plan("far", TensorType::Q2_K, 0.31)};
  auto names = [&](size_t n) {
    std::vector<std::string> all;
    for (const MeasuredPlan& p : plans_to_judge(tried, n)) all.push_back(p.name);
    return all;
  };
  EXPECT_EQ(names(4), (std::vector<std::string>{"predicted", "near"}));
  EXPECT_EQ(names(1), (std::vector<std::string>{"predicted"}));
  EXPECT_TRUE(plans_to_judge({}, 2).empty());

  // The best preset is among them however far behind, once.
  std::vector<MeasuredPlan> with_presets = tried;
  with_presets.push_back(plan("good preset", TensorType::Q5_0, 0.4));
  with_presets.push_back(plan("bad preset", TensorType::Q4_0, 0.5));
  with_presets[4].is_preset = with_presets[5].is_preset = true;
  std::vector<std::string> all;
  for (const MeasuredPlan& p : plans_to_judge(with_presets, 2)) all.push_back(p.name);
  EXPECT_EQ(all, (std::vector<std::string>{"predicted", "near", "good preset"}));
  // One that the search found too.
  with_presets[4] = plan("same", TensorType::Q4_K, 0.2);
  with_presets[4].is_preset = true;
  const auto judged = plans_to_judge(with_presets, 2);
  ASSERT_EQ(judged.size(), 2u);
  EXPECT_EQ(judged[0].name, "predicted");
  EXPECT_TRUE(judged[0].is_preset);
  EXPECT_FALSE(judged[1].is_preset);
}

TEST(KlBeforeSearch, MeasuresNoPlanTwice) {
  auto source = tiny::open({.type = TensorType::F16});
  ASSERT_TRUE(source);
  auto folder = TemporaryFolder::create("search").value();
  auto runtime = RuntimeLanguageModel::load(source, {.n_context = 16, .n_threads = 1}).value();
  TextWindows text;
  text.windows.emplace_back();
  for (size_t i = 0; i < 16; ++i) text.windows[0].push_back(Token(i * 7 % runtime->n_vocabulary()));
  text.n_context = 16, text.first_row = 2;
  const auto logits = folder.path() / "logits";
  ASSERT_TRUE(ReferenceLogits::record(*runtime, text, "model", logits, {}).ok());
  const ReferenceLogits reference = ReferenceLogits::open(logits, text, "model").value();
  auto candidates = list_candidates(*source, Codebooks::none).value();
  for (TensorCandidates& c : candidates) c.probe_kl = 0.01;
  PlanSearchInput input;
  input.source = source.get();
  input.candidates = &candidates;
  input.block_influence = {1, 1, 1};
  input.budget = smallest_budget(*source, candidates, false, std::nullopt).value() * 5 / 4;
  input.little_text = input.all_text = text;
  input.reference = &reference;
  input.checkpoint = folder.path() / "search.json";
  input.log = folder.path() / "measured.jsonl";
  ThreadPool threads(1);
  CandidateStore store(folder.path() / "tensors", *source, nullptr, threads);
  MeasuredModel measured(*runtime, *source, store);
  std::vector<ProgressReport> reports;
  auto kl = [&] {
    auto found = kl_before_search(measured, input, [&](const auto& report) { reports.push_back(report); });
    EXPECT_TRUE(found.ok() && *found);
    return **found;
  };
  const double first = kl();
  ASSERT_FALSE(reports.empty());
  EXPECT_EQ(reports[0].stage, "encoding weights");
  reports.clear();
  // What is kept is taken as it is.
  std::vector<std::string> plans;
  std::ifstream in(input.log);
  for (std::string line; std::getline(in, line);) plans.push_back(nlohmann::json::parse(line)["key"]);
  ASSERT_FALSE(plans.empty());
  PlanLog log(input.log);
  for (const std::string& plan : plans) ASSERT_TRUE(log.add(plan, {"known", 1, 0.25 * first}).ok());
  EXPECT_EQ(kl(), 0.25 * first);
  for (const ProgressReport& report : reports) EXPECT_NE(report.stage, "encoding weights");
}

}  // namespace
}  // namespace edgellm
