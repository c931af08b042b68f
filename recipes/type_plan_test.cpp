#include "recipes/type_plan.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/base/content_hash.h"
#include "core/base/output_file.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

using enum TensorType;

class TypePlanTest : public testing::Test {
 protected:
  void SetUp() override {
    tiny::Shape shape;
    shape.tied = false;
    ASSERT_TRUE(tiny::write(model_.path(), tiny::metadata_of(shape), tiny::tensors_of(shape)).ok());
    auto file = GgufFile::open(model_.path());
    ASSERT_TRUE(file.ok());
    source_ = std::make_unique<GgufFile>(std::move(*file));
  }
  Result<QuantizationPlan> plan_of(const std::string& text) {
    EXPECT_TRUE(write_text_file(plan_.path(), text).ok());
    QuantizationPlan plan;
    plan.types["output.weight"] = Q8_0;
    EDGELLM_RETURN_IF_ERROR(apply_type_plan(plan_.path(), *source_, plan));
    return plan;
  }
  void expect_refused(const std::string& text, const std::vector<std::string>& words) {
    auto plan = plan_of(text);
    ASSERT_FALSE(plan.ok()) << text;
    EXPECT_NE(plan.error().message.find(plan_.path().string()), std::string::npos) << plan.error().message;
    for (const std::string& word : words)
      EXPECT_NE(plan.error().message.find(word), std::string::npos) << plan.error().message;
  }
  nlohmann::json report() const {
    return {{"command", "fit"},
            {"model", "m.gguf"},
            {"model_hash", *hash_files(source_->paths())},
            {"dropped_layers", {1}},
            {"tensors", {{{"name", "blk.0.ffn_up.weight"}, {"type", "Q4_0"}}}}};
  }
  tiny::TemporaryFile model_, plan_;
  std::unique_ptr<GgufFile> source_;
};

TEST_F(TypePlanTest, LaterLinesGoBeforeEarlierOnesAndCommentsAreLeftOut) {
  auto plan = plan_of(
      "# all of the feed-forward part\n"
      "blk.*.ffn_*.weight  q4_0\n"
      "\n"
      "blk.?.ffn_down.weight Q5_0   # the last one\n"
      "  blk.2.ffn_down.weight\tF16\n");
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->types.at("blk.1.ffn_up.weight"), Q4_0);
  EXPECT_EQ(plan->types.at("blk.1.ffn_down.weight"), Q5_0);
  EXPECT_EQ(plan->types.at("blk.2.ffn_down.weight"), F16);
  EXPECT_EQ(plan->types.at("output.weight"), Q8_0) << "what the file does not name stays";
  EXPECT_FALSE(plan->types.contains("blk.0.attn_q.weight"));
  EXPECT_FALSE(plan->types.contains("blk.0.ffn_norm.weight")) << "a pattern is of weight matrices only";
}

TEST_F(TypePlanTest, AFileOfCommentsChangesNothing) {
  auto plan = plan_of("# nothing\n\n   \n");
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->types.size(), 1u);
}

TEST_F(TypePlanTest, WhatIsWrongIsNamedWithItsLine) {
  expect_refused("output.weight Q8_0\noutput.weight Q9_9\n", {"line 2", "Q9_9", "Q4_K"});
  expect_refused("output.weight TQ1_0\n", {"line 1", "TQ1_0", "not written"});
  expect_refused("output.weight Q8_K\n", {"line 1", "Q8_K"});
  expect_refused("\nblk.9.ffn_up.weight Q8_0\n", {"line 2", "blk.9.ffn_up.weight"});
  expect_refused("nothing.* Q8_0\n", {"line 1", "nothing.*"});
  expect_refused("output_norm.weight Q8_0\n", {"line 1", "output_norm.weight", "keeps its type"});
  expect_refused("output.weight Q4_K\n", {"line 1", "output.weight", "64", "256"});
  expect_refused("output.weight\n", {"line 1", "wanted"});
  expect_refused("output.weight Q8_0 Q4_0\n", {"line 1", "wanted"});
}

TEST_F(TypePlanTest, AReportGivesTypesAndDroppedLayers) {
  auto plan = plan_of(report().dump());
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->types.at("blk.0.ffn_up.weight"), Q4_0);
  EXPECT_EQ(plan->dropped_layers, (std::set<uint32_t>{1}));
}

TEST_F(TypePlanTest, AReportOfAnotherModelOrOfAnotherKindIsRefused) {
  auto j = report();
  j["model_hash"] = std::string(32, '0');
  expect_refused(j.dump(), {"00000000", *hash_files(source_->paths()), "m.gguf"});
  j.erase("model_hash");
  expect_refused(j.dump(), {"hash"});
  j = report();
  j["command"] = "eval";
  expect_refused(j.dump(), {"no report of a fit"});
  j = report();
  j["tensors"][0]["type"] = "Q9_9";
  expect_refused(j.dump(), {"blk.0.ffn_up.weight", "Q9_9"});
  j = report();
  j["tensors"][0]["name"] = "blk.7.ffn_up.weight";
  expect_refused(j.dump(), {"blk.7.ffn_up.weight"});
  j = report();
  j["dropped_layers"] = {3};
  expect_refused(j.dump(), {"dropped layer 3"});
  expect_refused("{\"command\": ", {});
}

}  // namespace
}  // namespace edgellm
