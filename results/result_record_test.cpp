#include "results/result_record.h"

#include <gtest/gtest.h>

namespace edgellm {
namespace {

using nlohmann::json;

ResultRecord some_record() {
  ResultRecord r;
  r.kind = "eval";
  r.id = "1";
  r.time = "2026-11-23T09:40:12Z";
  r.program = {{"version", "0.1.0"}};
  r.model = {"Small", "small.gguf", "abc", "llama", "Q4_K_M", 1000, 2000, json::object(), json()};
  r.data = RecordedData{"text.txt", "def", 7};
  r.settings = {{"context", 512}};
  r.machine = {{"cpu", "a CPU"}};
  r.figures = {{"perplexity", {{"perplexity", 3.5}}}};
  return r;
}

std::string error_of(const json& j) {
  auto read = record_from_json(j, "a.json");
  return read.ok() ? "" : read.error().message;
}

TEST(ResultRecord, comes_back_as_it_was_written) {
  ResultRecord r = some_record();
  auto back = record_from_json(record_json(r), "a.json");
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(record_json(*back), record_json(r));
  EXPECT_EQ(back->model.n_bytes, 1000u);
  ASSERT_TRUE(back->data);
  EXPECT_EQ(back->data->n_items, 7u);
}

TEST(ResultRecord, of_given_answers_needs_no_method_and_no_size) {
  ResultRecord r = some_record();
  r.kind = "score";
  r.model.method.clear();
  r.model.n_bytes = 0;
  const json j = record_json(r);
  EXPECT_FALSE(j["model"].contains("bytes") || j["model"].contains("method"));
  auto back = record_from_json(j, "a.json");
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(record_json(*back), j);
  json of_model = j;
  of_model["kind"] = "eval";
  EXPECT_NE(error_of(of_model).find("'model.method'"), std::string::npos) << error_of(of_model);
}

TEST(ResultRecord, keys_of_later_versions_are_passed_over) {
  json j = record_json(some_record());
  j["model"]["colour"] = "red";
  j["weather"] = 3;
  EXPECT_EQ(error_of(j), "");
}

TEST(ResultRecord, a_newer_schema_is_refused_with_file_and_both_numbers) {
  json j = {{"schema", kResultSchema + 6}};
  EXPECT_NE(error_of(j).find("a.json"), std::string::npos);
  EXPECT_NE(error_of(j).find("schema 7"), std::string::npos);
  EXPECT_NE(error_of(j).find("up to 1"), std::string::npos);
}

TEST(ResultRecord, what_is_missing_or_wrong_is_named) {
  for (const char* key : {"schema", "kind", "id", "time", "model", "figures"}) {
    json j = record_json(some_record());
    j.erase(key);
    EXPECT_NE(error_of(j).find(std::string("'") + key + "'"), std::string::npos) << error_of(j);
  }
  json j = record_json(some_record());
  j["model"]["bytes"] = "many";
  EXPECT_NE(error_of(j).find("'model.bytes' is string, wanted a whole number"), std::string::npos)
      << error_of(j);
  j = record_json(some_record());
  j["kind"] = "guess";
  EXPECT_NE(error_of(j).find("'guess'"), std::string::npos);
  for (const json& other : {json::array(), json(3), json(), json("text")}) EXPECT_NE(error_of(other), "");
}

}  // namespace
}  // namespace edgellm
