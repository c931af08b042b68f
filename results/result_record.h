// What one evaluation, scoring of given answers, benchmark or fit found, with all that somebody needs to
// compare it or do it again. One JSON file a record; every key is documented in docs/formats.md.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace edgellm {

// The newest layout this program reads, and the one it writes.
constexpr int kResultSchema = 1;

// Of answers that somebody else's program gave ("score") no model is at hand: name and method are what the
// user says, file and hash those of the answers, and the rest is not known: empty, 0.
struct RecordedModel {
  std::string name;  // the model's own, the same for all its sizes: "SmolLM2 135M Instruct"
  std::string file;  // the file's name without its folder
  std::string hash;  // hash_files() of it: what joins the records of one model
  std::string architecture;
  std::string method;  // what was done to it: "Q4_K_M", "F16", "mixed", "fit"
  uint64_t n_bytes = 0, n_parameters = 0;
  nlohmann::json types;   // {role: {type: {"tensors", "bytes", "parameters"}}}
  nlohmann::json source;  // what it was made from, where that is known: {"name", "hash", "bytes"}
};

struct RecordedData {
  std::string name;  // the file's name without its folder
  std::string hash;  // of the contents, content_hash.h; of "score", of the references' texts
  uint64_t n_items = 0;
};

struct ResultRecord {
  std::string kind;      // "eval", "score", "bench" or "fit"
  std::string id, time;  // set when it is appended: the file's name without .json; UTC, 2026-11-23T09:40:12Z
  nlohmann::json program;  // {"version", "build"}
  RecordedModel model;
  std::optional<RecordedData> data;  // a figure that was taken on other data has a "data" of its own
  nlohmann::json settings;  // what the figures depend on; figures with other settings are not compared
  nlohmann::json run;       // what they do not depend on: how many at once, seconds
  nlohmann::json machine;   // {"cpu", "cores", "isa", ...}
  nlohmann::json figures;   // by kind
};

nlohmann::json record_json(const ResultRecord& record);
// Error for a newer schema, another kind, or a key that is missing or of the wrong type; it begins with
// `file`.
Result<ResultRecord> record_from_json(const nlohmann::json& json, std::string_view file);

}  // namespace edgellm
