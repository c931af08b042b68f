#include "plan/preset.h"

#include <gtest/gtest.h>

namespace edgellm {
namespace {

using enum TensorType;

TensorType type_of(const char* preset, TensorRole role, int32_t layer, size_t n_columns = 1536,
                   PresetContext context = {28, 12, 2, true}) {
  return preset_tensor_type(**find_preset(preset), context, role, layer, n_columns);
}

TEST(Preset, NamesAreFoundInAnyCaseAndUnknownOnesListTheKnown) {
  EXPECT_EQ((*find_preset("q4_k_m"))->name, "Q4_K_M");
  auto unknown = find_preset("Q9");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("Q3_K_L"), std::string::npos);
}

TEST(Preset, Q4KMGivesMoreBitsToSomeLayersOfValueAndDown) {
  EXPECT_EQ(type_of("Q4_K_M", TensorRole::attention_q, 0), Q4_K);
  EXPECT_EQ(type_of("Q4_K_M", TensorRole::ffn_down, 0), Q6_K);
  EXPECT_EQ(type_of("Q4_K_M", TensorRole::ffn_down, 3), Q4_K);
  EXPECT_EQ(type_of("Q4_K_M", TensorRole::ffn_down, 5), Q6_K);
  EXPECT_EQ(type_of("Q4_K_M", TensorRole::attention_v, 27), Q6_K);
}

TEST(Preset, Q2KDependsOnHeadGrouping) {
  EXPECT_EQ(type_of("Q2_K", TensorRole::attention_v, 9), Q4_K);
  EXPECT_EQ(type_of("Q2_K", TensorRole::attention_v, 9, 1536, {28, 12, 12, true}), Q3_K);
  EXPECT_EQ(type_of("Q2_K", TensorRole::ffn_up, 9), Q2_K);
  EXPECT_EQ(type_of("Q2_K", TensorRole::ffn_down, 9), Q3_K);
}

TEST(Preset, TiedEmbeddingTakesTheOutputsType) {
  EXPECT_EQ(type_of("Q3_K_M", TensorRole::token_embedding, -1), Q6_K);
  EXPECT_EQ(type_of("Q3_K_M", TensorRole::token_embedding, -1, 1536, {28, 12, 2, false}), Q3_K);
  EXPECT_EQ(type_of("Q3_K_M", TensorRole::output, -1, 576), Q8_0);
}

TEST(Preset, RowsThatAreNoMultipleOf256FallBackToSmallerBlocks) {
  EXPECT_EQ(type_of("Q2_K", TensorRole::ffn_up, 9, 576), Q4_0);
  EXPECT_EQ(type_of("Q4_K_M", TensorRole::ffn_up, 9, 896), Q5_0);
  EXPECT_EQ(type_of("Q6_K", TensorRole::ffn_up, 9, 640), Q8_0);
  EXPECT_EQ(type_of("Q6_K", TensorRole::ffn_up, 9, 100), F16);
}

TEST(Preset, Q2_0IsPlainButForTheEmbeddingAndTheOutput) {
  PresetContext untied = {30, 9, 3, false};
  EXPECT_EQ((*find_preset("q2_0"))->file_type, 41u);
  EXPECT_EQ(type_of("Q2_0", TensorRole::attention_v, 0, 576), Q2_0);
  EXPECT_EQ(type_of("Q2_0", TensorRole::ffn_down, 0, 1536), Q2_0);
  EXPECT_EQ(type_of("Q2_0", TensorRole::ffn_down, 0, 32 * 5), Q4_0);
  EXPECT_EQ(type_of("Q2_0", TensorRole::token_embedding, -1, 576), Q8_0);
  EXPECT_EQ(type_of("Q2_0", TensorRole::token_embedding, -1, 1536), Q6_K);
  EXPECT_EQ(type_of("Q2_0", TensorRole::token_embedding, -1, 1536, untied), Q4_K);
  EXPECT_EQ(type_of("Q2_0", TensorRole::token_embedding, -1, 576, untied), Q5_0);
  EXPECT_EQ(type_of("Q2_0", TensorRole::output, -1, 1536, untied), Q6_K);
}

TEST(Preset, CodebookMixturesSpareWhatMattersMost) {
  PresetContext untied = {28, 12, 2, false}, one_to_one = {28, 12, 12, true};
  EXPECT_EQ((*find_preset("iq2_m"))->file_type, 29u);
  EXPECT_EQ(type_of("IQ2_M", TensorRole::ffn_up, 9), IQ2_S);
  EXPECT_EQ(type_of("IQ2_S", TensorRole::ffn_up, 9), IQ2_XS);
  EXPECT_EQ(type_of("IQ2_M", TensorRole::attention_output, 9), IQ3_S);
  EXPECT_EQ(type_of("IQ2_M", TensorRole::ffn_down, 2), IQ3_S);
  EXPECT_EQ(type_of("IQ2_M", TensorRole::ffn_down, 3), IQ2_S);
  EXPECT_EQ(type_of("IQ1_M", TensorRole::attention_output, 9), IQ2_XXS);
  EXPECT_EQ(type_of("IQ1_M", TensorRole::attention_v, 9), Q4_K);
  EXPECT_EQ(type_of("IQ1_M", TensorRole::attention_v, 9, 1536, one_to_one), Q2_K);
  EXPECT_EQ(type_of("IQ3_XXS", TensorRole::attention_q, 9), IQ2_S);
  EXPECT_EQ(type_of("IQ3_XS", TensorRole::ffn_up, 2), IQ3_S);
  EXPECT_EQ(type_of("IQ3_XS", TensorRole::ffn_up, 3), IQ3_XXS);
  EXPECT_EQ(type_of("IQ3_XS", TensorRole::ffn_up, 24), IQ3_S);
  EXPECT_EQ(type_of("IQ3_M", TensorRole::attention_output, 9), Q4_K);
  EXPECT_EQ(type_of("IQ2_XXS", TensorRole::token_embedding, -1), Q5_K);
  EXPECT_EQ(type_of("IQ2_XXS", TensorRole::token_embedding, -1, 1536, untied), Q2_K);
  EXPECT_EQ(type_of("IQ3_S", TensorRole::token_embedding, -1), Q6_K);
  EXPECT_EQ(type_of("IQ2_XXS", TensorRole::token_embedding, -1, 576), Q8_0);
  EXPECT_EQ(type_of("IQ2_XXS", TensorRole::ffn_up, 9, 576), IQ4_NL);
}

TEST(Preset, NormsAndBiasesAreNeverQuantized) {
  EXPECT_EQ(type_of("Q2_K", TensorRole::ffn_norm, 3), F32);
  EXPECT_EQ(type_of("Q2_K", TensorRole::attention_q_bias, 3), F32);
}

}  // namespace
}  // namespace edgellm
