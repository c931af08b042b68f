#include "recipes/pruned_weights.h"

#include <gtest/gtest.h>

#include "core/blocks/exact_zero.h"
#include "recipes/tensor_costs.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

class PrunedWeights : public testing::Test {
 protected:
  void SetUp() override {
    shape_.n_embedding = 256;
    shape_.n_feed_forward = {512};
    shape_.type = TensorType::F16;
  }
  GgufFile source(bool is_pruned) {
    Metadata metadata = tiny::metadata_of(shape_);
    if (is_pruned) tell_pruned_weights(1000, metadata);
    Status written = tiny::write(file_.path(), metadata, tiny::tensors_of(shape_));
    EXPECT_TRUE(written.ok()) << written.error().message;
    return GgufFile::open(file_.path()).value();
  }
  QuantizationPlan preset(const GgufFile& source, const char* name) {
    return preset_plan(source, **find_preset(name)).value();
  }

  tiny::Shape shape_;
  tiny::TemporaryFile file_;
};

TEST_F(PrunedWeights, APlanKeepsThemOrIsRefusedByTheTensorsName) {
  const GgufFile pruned = source(true);
  EXPECT_TRUE(check_keeps_pruned_weights(pruned, preset(pruned, "Q4_0")).ok());
  EXPECT_TRUE(planned_file(pruned, preset(pruned, "Q4_0"))->metadata.contains("edgellm.pruned_weights"));
  Status refused = check_keeps_pruned_weights(pruned, preset(pruned, "Q4_K_M"));
  ASSERT_FALSE(refused.ok());
  for (const char* told : {"blk.0.", "more", "Q4_K", "Q3_K", "Q6_K"})
    EXPECT_NE(refused.error().message.find(told), std::string::npos) << refused.error().message;
  // A file that lost them does not claim to have them.
  EXPECT_FALSE(planned_file(pruned, preset(pruned, "Q4_K_M"))->metadata.contains("edgellm.pruned_weights"));
}

TEST_F(PrunedWeights, OtherFilesTakeAnyType) {
  const GgufFile whole = source(false);
  EXPECT_TRUE(check_keeps_pruned_weights(whole, preset(whole, "Q4_K_M")).ok());
  EXPECT_FALSE(has_pruned_weights(whole));
}

TEST_F(PrunedWeights, FitPlansWithTypesThatHoldAZero) {
  for (Codebooks codebooks : {Codebooks::none, Codebooks::all}) {
    const GgufFile pruned = source(true);
    auto candidates = list_candidates(pruned, codebooks).value();
    size_t n_matrices = 0;
    for (const TensorCandidates& c : candidates) {
      if (!is_pruned_by_weight(c.role)) continue;
      ++n_matrices;
      // Q2_0, Q4_0, Q5_0, Q8_0 and its own; Q3_K and Q6_K where their blocks fit.
      EXPECT_EQ(c.types.size(), c.tensor->n_columns() % 256 ? 5u : 7u) << c.tensor->name;
      for (TensorType type : c.types) EXPECT_TRUE(holds_exact_zero(type)) << to_string(type);
    }
    EXPECT_EQ(n_matrices, 7 * shape_.n_layers);
  }
}

}  // namespace
}  // namespace edgellm
