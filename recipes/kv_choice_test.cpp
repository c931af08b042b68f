#include "recipes/kv_choice.h"

#include <fstream>
#include <gtest/gtest.h>

#include "core/base/temporary_folder.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

class KvChoiceTest : public testing::Test {
 protected:
  void SetUp() override {
    source_ = tiny::open({.type = TensorType::F16});
    ASSERT_TRUE(source_);
    candidates_ = list_candidates(*source_, Codebooks::none).value();
    for (TensorCandidates& c : candidates_) {
      c.probe_kl = 0.01;
      // Halved by every finer type.
      double error = 0.1;
      for (size_t i = 0; i < c.types.size(); ++i, error /= 2) c.relative_error[i] = error;
    }
    const uint64_t smallest = smallest_budget(*source_, candidates_, false, std::nullopt).value();
    less_ = smallest + smallest / 10, more_ = smallest + smallest / 2;
  }
  // With budgets for f16 and q8_0, and what a cache in q8_0 adds.
  KvChoice choose(uint64_t with_f16, uint64_t with_q8_0, double kl) {
    PlanSearchInput input;
    input.source = source_.get();
    input.candidates = &candidates_;
    input.block_influence.assign(read_hyperparameters(source_->metadata())->n_layers, 0);
    input.budget = with_f16;
    n_measured_ = 0;
    auto chosen = choose_kv_type(input, with_q8_0, [&]() -> Result<double> {
      ++n_measured_;
      return kl;
    });
    EXPECT_TRUE(chosen.ok()) << chosen.error().message;
    return *chosen;
  }

  std::shared_ptr<const GgufFile> source_;
  std::vector<TensorCandidates> candidates_;
  uint64_t less_ = 0, more_ = 0;
  int n_measured_ = 0;
};

TEST_F(KvChoiceTest, Q8_0IsTakenWhereItsBytesAreWorthMoreThanItAdds) {
  const KvChoice open = choose(less_, more_, 0);
  EXPECT_EQ(open.type, KvType::q8_0);
  ASSERT_TRUE(open.harm_with_f16 && open.harm_with_q8_0);
  const double worth = *open.harm_with_f16 - *open.harm_with_q8_0;
  EXPECT_GT(worth, 0);
  EXPECT_EQ(choose(less_, more_, 0.9 * worth).type, KvType::q8_0);
  EXPECT_EQ(choose(less_, more_, 1.1 * worth).type, KvType::f16);
  EXPECT_EQ(n_measured_, 1);
}

TEST_F(KvChoiceTest, NothingIsMeasuredWhereTheWeightsDecide) {
  EXPECT_EQ(choose(more_, more_, 0).type, KvType::f16);
  EXPECT_EQ(n_measured_, 0);
  const KvChoice forced = choose(100, more_, 10);
  EXPECT_EQ(forced.type, KvType::q8_0);
  EXPECT_FALSE(forced.harm_with_f16 || forced.kl_of_q8_0);
  EXPECT_EQ(n_measured_, 0);
}

TEST_F(KvChoiceTest, WhatTheCacheAddsIsMeasuredOnceAndSmall) {
  TemporaryFolder folder = TemporaryFolder::create("kv-choice").value();
  RuntimeModelOptions options = {.n_context = 32, .n_threads = 1};
  auto original = RuntimeLanguageModel::load(source_, options).value();
  TextWindows text;
  text.windows.resize(2);
  for (size_t i = 0; i < 32; ++i) {
    text.windows[0].push_back(Token(i * 7 % original->n_vocabulary()));
    text.windows[1].push_back(Token(i * 11 % original->n_vocabulary()));
  }
  text.n_context = 32, text.first_row = 4;
  const auto logits = folder.path() / "logits", known = folder.path() / "known.json";
  ASSERT_TRUE(ReferenceLogits::record(*original, text, "model", logits, {}).ok());
  const ReferenceLogits reference = ReferenceLogits::open(logits, text, "model").value();
  ThreadPool threads(1);
  CandidateStore store(folder.path() / "tensors", *source_, nullptr, threads);
  MeasuredModel measured(*original, *source_, store);
  options.kv_type = KvType::q8_0;
  auto measure = [&] {
    return measure_cache_kl(measured, source_, options, candidates_, store, text, reference, known).value();
  };
  const double kl = measure();
  EXPECT_GT(kl, 0);
  EXPECT_LT(kl, 0.01);
  std::ofstream(known) << "0.25";
  EXPECT_EQ(measure(), 0.25);
}

}  // namespace
}  // namespace edgellm
