#include "results/result_record.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace edgellm {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kKinds = {"eval", "score", "bench", "fit"};

// Scores are of answers, whose model was not at hand.
bool has_model_file(const ResultRecord& r) {
  return r.kind != "score";
}

json model_json(const ResultRecord& r) {
  const RecordedModel& m = r.model;
  json j = {{"name", m.name}, {"file", m.file}, {"hash", m.hash}};
  if (has_model_file(r) || !m.method.empty()) j["method"] = m.method;
  if (has_model_file(r)) j.update({{"bytes", m.n_bytes}, {"parameters", m.n_parameters}});
  if (!m.architecture.empty()) j["architecture"] = m.architecture;
  if (!m.types.is_null()) j["types"] = m.types;
  if (!m.source.is_null()) j["source"] = m.source;
  return j;
}

// Reads the keys of one object and keeps the first thing that is wrong with them.
class Reader {
 public:
  Reader(std::string_view file, const json& object, std::string within)
      : file_(file), object_(object), within_(std::move(within)) {}

  std::string text(const char* key, bool required) {
    const json* value = find(key, required);
    if (value && !value->is_string()) wrong(key, "text", *value);
    return value && value->is_string() ? value->get<std::string>() : std::string();
  }
  uint64_t count(const char* key, bool required) {
    const json* value = find(key, required);
    bool whole =
        value && value->is_number_integer() && (value->is_number_unsigned() || value->get<int64_t>() >= 0);
    if (value && !whole) wrong(key, "a whole number", *value);
    return whole ? value->get<uint64_t>() : 0;
  }
  json object(const char* key, bool required) {
    const json* value = find(key, required);
    if (value && !value->is_object()) wrong(key, "an object", *value);
    return value && value->is_object() ? *value : json();
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  const json* find(const char* key, bool required) {
    auto found = object_.find(key);
    if (found != object_.end() && !found->is_null()) return &*found;
    if (required && !error_)
      error_ = Error{fmt::format("{}: not a result record: '{}{}' is missing", file_, within_, key)};
    return nullptr;
  }
  void wrong(const char* key, const char* wanted, const json& value) {
    if (!error_)
      error_ = Error{fmt::format("{}: damaged result record: '{}{}' is {}, wanted {}", file_, within_, key,
                                 value.type_name(), wanted)};
  }
  std::string_view file_;
  const json& object_;
  std::string within_;
  std::optional<Error> error_;
};

}  // namespace

json record_json(const ResultRecord& r) {
  json j = {{"schema", kResultSchema}, {"kind", r.kind},         {"id", r.id},
            {"time", r.time},          {"model", model_json(r)}, {"figures", r.figures}};
  if (r.data) j["data"] = {{"name", r.data->name}, {"hash", r.data->hash}, {"items", r.data->n_items}};
  for (const auto& [key, value] : {std::pair("program", &r.program), std::pair("settings", &r.settings),
                                   std::pair("run", &r.run), std::pair("machine", &r.machine)})
    if (!value->is_null()) j[key] = *value;
  return j;
}

Result<ResultRecord> record_from_json(const json& j, std::string_view file) {
  if (!j.is_object()) return Error{fmt::format("{}: not a result record: no JSON object", file)};
  Reader top(file, j, "");
  ResultRecord r;
  uint64_t schema = top.count("schema", true);
  if (top.error()) return *top.error();
  if (schema > kResultSchema)
    return Error{
        fmt::format("{}: written with result schema {} by a newer edgellm, this one reads up to {}: "
                    "update edgellm, or move the file out of the folder",
                    file, schema, kResultSchema)};
  r.kind = top.text("kind", true);
  if (top.error()) return *top.error();
  if (std::find(kKinds.begin(), kKinds.end(), r.kind) == kKinds.end())
    return Error{
        fmt::format("{}: not a result record: kind '{}', wanted {}", file, r.kind, fmt::join(kKinds, ", "))};
  r.id = top.text("id", true);
  r.time = top.text("time", true);
  r.program = top.object("program", false);
  r.settings = top.object("settings", false);
  r.run = top.object("run", false);
  r.machine = top.object("machine", false);
  r.figures = top.object("figures", true);
  json model = top.object("model", true), data = top.object("data", false);
  if (top.error()) return *top.error();

  Reader of_model(file, model, "model.");
  r.model.name = of_model.text("name", true);
  r.model.file = of_model.text("file", true);
  r.model.hash = of_model.text("hash", true);
  r.model.method = of_model.text("method", has_model_file(r));
  r.model.architecture = of_model.text("architecture", false);
  r.model.n_bytes = of_model.count("bytes", has_model_file(r));
  r.model.n_parameters = of_model.count("parameters", false);
  r.model.types = of_model.object("types", false);
  r.model.source = of_model.object("source", false);
  if (of_model.error()) return *of_model.error();

  if (data.is_null()) return r;
  Reader of_data(file, data, "data.");
  r.data =
      RecordedData{of_data.text("name", true), of_data.text("hash", true), of_data.count("items", false)};
  if (of_data.error()) return *of_data.error();
  return r;
}

}  // namespace edgellm
