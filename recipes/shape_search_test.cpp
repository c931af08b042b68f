#include "recipes/shape_search.h"

#include <fstream>
#include <gtest/gtest.h>

#include "core/base/temporary_folder.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

// Five layers of which one adds nothing by its attention, another nothing by its feed-forward part, and a
// third nothing by half of its channels.
class ShapeSearchTest : public testing::Test {
 protected:
  static constexpr uint32_t kChannels = 1376;

  void SetUp() override { open("llama"); }

  void open(const char* family) {
    tiny::Shape shape = {
        .family = family, .n_layers = 5, .n_feed_forward = {kChannels}, .type = TensorType::F16};
    auto tensors = tiny::tensors_of(shape);
    for (tiny::Tensor& t : tensors)
      if (t.declaration.name == "blk.2.attn_output.weight" || t.declaration.name == "blk.3.ffn_down.weight")
        std::fill(t.data.begin(), t.data.end(), std::byte(0));
    for (tiny::Tensor& t : tensors)
      if (t.declaration.name == "blk.1.ffn_down.weight")
        for (size_t i = 0; i < t.data.size() / sizeof(uint16_t); ++i)
          if (i % kChannels % 2)
            std::fill_n(t.data.data() + i * sizeof(uint16_t), sizeof(uint16_t), std::byte(0));
    source_ = tiny::open(tiny::metadata_of(shape), tensors);
    ASSERT_TRUE(source_);
    auto folder = TemporaryFolder::create("shape-search");
    ASSERT_TRUE(folder.ok());
    folder_.emplace(std::move(*folder));
    runtime_ = RuntimeLanguageModel::load(source_, {.n_context = 32, .n_threads = 1}).value();
    text_ = {};
    text_.windows.resize(2);
    for (size_t i = 0; i < 32; ++i) {
      text_.windows[0].push_back(Token(i * 7 % runtime_->n_vocabulary()));
      text_.windows[1].push_back(Token(i * 11 % runtime_->n_vocabulary()));
    }
    text_.n_context = 32, text_.first_row = 4;
    const auto logits = folder_->path() / "logits";
    ASSERT_TRUE(ReferenceLogits::record(*runtime_, text_, "model", logits, {}).ok());
    reference_.emplace(ReferenceLogits::open(logits, text_, "model").value());
    candidates_ = list_candidates(*source_, Codebooks::none).value();
    for (TensorCandidates& c : candidates_) {
      c.probe_kl = 0.01;
      double error = 0.1;
      for (size_t i = 0; i < c.types.size(); ++i, error /= 2) c.relative_error[i] = error;
      c.relative_error.back() = 0;
    }
    smallest_ = smallest_budget(*source_, candidates_, false, std::nullopt).value();
  }

  Result<FoundShape> search(uint64_t budget, bool whole_layers_only = false) {
    PlanSearchInput plan;
    plan.source = source_.get();
    plan.candidates = &candidates_;
    plan.block_influence = {5, 4, 3, 2, 1};
    plan.budget = budget;
    plan.little_text = plan.all_text = text_;
    plan.reference = &*reference_;
    ThreadPool threads(1);
    CandidateStore store(folder_->path() / "tensors", *source_, nullptr, threads);
    MeasuredModel measured(*runtime_, *source_, store);
    ShapeSearchInput input = {&plan,
                              &importance_,
                              whole_layers_only,
                              32,
                              folder_->path() / "parts.jsonl",
                              folder_->path() / "parts"};
    auto found = search_shape(measured, input, threads, {});
    EXPECT_FALSE(std::filesystem::exists(input.folder));
    expect_restored();
    return found;
  }

  // The decoder computes the original again.
  void expect_restored() { EXPECT_LT(measure_divergence(*runtime_, text_, *reference_)->mean_kl, 1e-6); }

  size_t n_lines() const {
    std::ifstream in(folder_->path() / "parts.jsonl");
    size_t n = 0;
    for (std::string line; std::getline(in, line);) ++n;
    return n;
  }

  std::shared_ptr<const GgufFile> source_;
  std::optional<TemporaryFolder> folder_;
  std::unique_ptr<RuntimeLanguageModel> runtime_;
  TextWindows text_;
  std::optional<ReferenceLogits> reference_;
  ImportanceMatrix importance_;
  std::vector<TensorCandidates> candidates_;
  uint64_t smallest_ = 0;
};

TEST_F(ShapeSearchTest, LeavesOutWhatAddsNothing) {
  auto found = search(smallest_ * 11 / 10);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_TRUE(found->shape.dropped_attention.contains(2));
  EXPECT_TRUE(found->shape.dropped_ffn.contains(3));
  // Of 43 x 32 channels: of the same blocks as the whole, so no multiple of 64.
  ASSERT_TRUE(found->shape.n_feed_forward.contains(1));
  EXPECT_EQ(found->shape.n_feed_forward.at(1), 992u);
  EXPECT_TRUE(found->shape.dropped_layers.empty());
  ASSERT_TRUE(found->harm && found->harm_of_whole);
  EXPECT_LT(found->kl + *found->harm, *found->harm_of_whole);
}

TEST_F(ShapeSearchTest, KeepsEverythingWhereBytesAreWorthNothing) {
  auto found = search(uint64_t{1} << 30);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->shape.is_whole());
  EXPECT_EQ(found->kl, 0);
}

TEST_F(ShapeSearchTest, MakesRoomWhereNothingFits) {
  const uint64_t budget = smallest_ * 9 / 10;
  auto found = search(budget);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_FALSE(found->harm_of_whole);
  ASSERT_TRUE(found->harm);
  EXPECT_FALSE(found->shape.is_whole());
  auto refused = search(1000);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("smallest possible"), std::string::npos) << refused.error().message;
}

TEST_F(ShapeSearchTest, LeavesOutWholeLayersOnlyWhereThatIsAsked) {
  // What is just enough once half of the layers, rounded down, are gone.
  auto found = search(smallest_budget(*source_, candidates_, true, std::nullopt).value(), true);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->shape.dropped_layers.size(), 2u);
  EXPECT_TRUE(found->shape.dropped_attention.empty() && found->shape.dropped_ffn.empty() &&
              found->shape.n_feed_forward.empty());
}

TEST_F(ShapeSearchTest, MeasuresNothingTwice) {
  auto first = search(smallest_ * 11 / 10);
  ASSERT_TRUE(first.ok());
  const size_t n = n_lines();
  EXPECT_GT(n, 0u);
  auto again = search(smallest_ * 11 / 10);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->shape, first->shape);
  EXPECT_EQ(n_lines(), n);
}

TEST_F(ShapeSearchTest, LeavesOutOnlyWhatAFileOfTheFamilyCanBeWithout) {
  open("gemma3");
  auto found = search(smallest_ * 11 / 10);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_TRUE(found->shape.is_whole());
}

}  // namespace
}  // namespace edgellm
