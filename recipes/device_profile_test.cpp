#include "recipes/device_profile.h"

#include <gtest/gtest.h>

#include "core/base/output_file.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

using enum TensorType;

DeviceProfile hand_made() {
  DeviceProfile profile;
  profile.backend = "CPU, made up, 4 threads";
  profile.n_threads = 4;
  profile.machine = {{"cpu", "Made up"}};
  profile.types[F16].generation = {2e-9, 1.5e-9, 3e-9};
  profile.types[Q8_0] = {{1e-9, 1e-9, 1e-9}, Spread{5e-11, 4e-11, 6e-11}};
  return profile;
}

TEST(DeviceProfile, ComesBackFromItsFile) {
  tiny::TemporaryFile file;
  ASSERT_TRUE(write_device_profile(hand_made(), file.path()).ok());
  auto read = read_device_profile(file.path());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(profile_json(*read), profile_json(hand_made()));
  EXPECT_EQ(read->seconds_per_weight(F16), 2e-9);
  EXPECT_FALSE(read->seconds_per_weight(Q4_K));
  EXPECT_FALSE(read->types.at(F16).prompt);
}

TEST(DeviceProfile, WhatIsWrongInAFileIsNamed) {
  tiny::TemporaryFile file;
  auto expect_refused = [&](const nlohmann::json& j, const std::string& words) {
    ASSERT_TRUE(write_text_file(file.path(), j.dump()).ok());
    auto read = read_device_profile(file.path());
    ASSERT_FALSE(read.ok()) << j;
    EXPECT_NE(read.error().message.find(file.path().string()), std::string::npos) << read.error().message;
    EXPECT_NE(read.error().message.find(words), std::string::npos) << read.error().message;
  };
  const nlohmann::json good = profile_json(hand_made());
  auto changed = [&](const char* key, nlohmann::json value) {
    nlohmann::json j = good;
    j[key] = std::move(value);
    return j;
  };
  expect_refused("text", "no JSON object");
  expect_refused(changed("command", "bench"), "no device profile");
  expect_refused(changed("schema", 2), "schema 2, this program reads schema 1");
  expect_refused(changed("types", nlohmann::json::object()), "no type");
  expect_refused(changed("types", 5), "'types'");
  nlohmann::json j = good;
  for (const nlohmann::json& bad :
       {nlohmann::json(0), nlohmann::json(-1e-9), nlohmann::json("fast"), nlohmann::json()}) {
    j["types"]["Q8_0"]["generation_seconds_per_weight"] = bad;
    expect_refused(j, "type Q8_0");
  }
  j = good;
  j["types"]["Q99"] = {{"generation_seconds_per_weight", 1e-9}};
  ASSERT_TRUE(write_text_file(file.path(), j.dump()).ok());
  EXPECT_TRUE(read_device_profile(file.path()).ok()) << "a type of a newer program is passed over";
}

TEST(DeviceProfile, EveryWritableTypeIsMeasured) {
  auto profile = measure_device_profile({.n_threads = 2, .n_rounds = 1, .n_matrix_bytes = 2 << 20}, {});
  ASSERT_TRUE(profile.ok()) << profile.error().message;
  for (const TensorTypeInfo& type : tensor_types()) {
    auto found = profile->types.find(type.type);
    ASSERT_EQ(found != profile->types.end(), is_writable(type)) << type.name;
    if (!is_writable(type)) continue;
    EXPECT_GT(found->second.generation.least, 0) << type.name;
    EXPECT_GT(found->second.prompt->least, 0) << type.name;
  }
  EXPECT_EQ(profile->n_threads, 2u);
}

TEST(PredictedSeconds, CountEveryProductOfATokenAndNoLookup) {
  tiny::Shape shape;
  shape.type = F16;
  auto tied = tiny::open(shape);
  shape.tied = false;
  auto untied = tiny::open(shape);
  ASSERT_TRUE(tied && untied);
  double n_weights = 0, n_embedding = 0;
  for (const GgufTensor& tensor : tied->tensors()) {
    if (tensor.dimensions.size() > 1) n_weights += double(tensor.n_values());
    if (tensor.name == "token_embd.weight") n_embedding = double(tensor.n_values());
  }
  DeviceProfile profile = hand_made();
  EXPECT_NEAR(*predicted_seconds_per_token(*tied, {}, profile), 2e-9 * n_weights, 1e-12);
  EXPECT_NEAR(*predicted_seconds_per_token(*untied, {}, profile), 2e-9 * n_weights, 1e-12);
  QuantizationPlan plan;
  plan.types["output.weight"] = Q8_0;
  EXPECT_NEAR(*predicted_seconds_per_token(*untied, plan, profile), 2e-9 * n_weights - 1e-9 * n_embedding,
              1e-12);
  plan.dropped_layers = {0, 1, 2};
  EXPECT_NEAR(*predicted_seconds_per_token(*untied, plan, profile), 1e-9 * n_embedding, 1e-12);
  plan = {};
  plan.types["blk.0.ffn_up.weight"] = Q4_0;
  EXPECT_FALSE(predicted_seconds_per_token(*untied, plan, profile)) << "Q4_0 was not measured";
}

}  // namespace
}  // namespace edgellm
