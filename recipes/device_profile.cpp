#include "recipes/device_profile.h"

#include <cmath>
#include <fmt/format.h>

#include "core/arch/architecture.h"
#include "core/base/output_file.h"
#include "core/model_file/hf_folder.h"
#include "core/model_file/printable.h"

namespace edgellm {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int kSchema = 1;
constexpr const char* kCommand = "bench --profile";
constexpr uint64_t kMostProfileBytes = 4 << 20;

void put(ordered_json& j, const std::string& key, const Spread& spread) {
  j[key] = spread.median;
  j[key + "_range"] = {{"least", spread.least}, {"most", spread.most}};
}

// The median alone counts; a range that is missing is that of one measurement.
Result<Spread> read_spread(const json& j, const std::string& key) {
  const json* value = j.contains(key) ? &j[key] : nullptr;
  if (!value || !value->is_number() || !std::isfinite(value->get<double>()) || value->get<double>() <= 0)
    return Error{fmt::format("wants a positive number '{}'", key)};
  Spread spread = {value->get<double>(), value->get<double>(), value->get<double>()};
  const json range = j.value(key + "_range", json::object());
  if (range.is_object() && range.contains("least") && range["least"].is_number())
    spread.least = range["least"];
  if (range.is_object() && range.contains("most") && range["most"].is_number()) spread.most = range["most"];
  return spread;
}

uint64_t count_or_0(const json& j, const char* key) {
  return j.contains(key) && j[key].is_number_unsigned() ? j[key].get<uint64_t>() : 0;
}

}  // namespace

std::optional<double> DeviceProfile::seconds_per_weight(TensorType type) const {
  auto found = types.find(type);
  return found == types.end() ? std::nullopt : std::optional(found->second.generation.median);
}

ordered_json profile_json(const DeviceProfile& profile) {
  ordered_json j = {{"schema", kSchema},
                    {"command", kCommand},
                    {"device", "cpu"},
                    {"backend", profile.backend},
                    {"threads", profile.n_threads},
                    {"matrix_bytes", profile.n_matrix_bytes},
                    {"columns", profile.n_columns},
                    {"prompt_tokens", profile.n_prompt_tokens}};
  ordered_json types = ordered_json::object();
  for (const auto& [type, speed] : profile.types) {
    ordered_json one = {{"bits", info(type).bits_per_value()}};
    put(one, "generation_seconds_per_weight", speed.generation);
    if (speed.prompt) put(one, "prompt_seconds_per_weight", *speed.prompt);
    types[std::string(to_string(type))] = std::move(one);
  }
  j["types"] = std::move(types);
  j["machine"] = profile.machine;
  j["build"] = profile.build;
  return j;
}

Status write_device_profile(const DeviceProfile& profile, const std::filesystem::path& path) {
  return write_text_file(path, profile_json(profile).dump(2) + "\n");
}

Result<DeviceProfile> read_device_profile(const std::filesystem::path& path) {
  auto wrong = [&](std::string_view what) {
    return Error{fmt::format("cannot use device profile {}: {}", path.string(), what)};
  };
  EDGELLM_ASSIGN_OR_RETURN(json j, read_json_object(path, kMostProfileBytes));
  if (!j.contains("command") || j["command"] != kCommand)
    return wrong("it is no device profile; 'edgellm bench --profile FILE' writes one");
  if (!j.contains("schema") || j["schema"] != kSchema)
    return wrong(fmt::format("it has schema {}, this program reads schema {}",
                             j.contains("schema") ? j["schema"].dump().substr(0, 40) : "none", kSchema));
  DeviceProfile profile;
  profile.backend = j.contains("backend") && j["backend"].is_string() ? j["backend"].get<std::string>() : "";
  profile.n_threads = count_or_0(j, "threads");
  profile.n_matrix_bytes = count_or_0(j, "matrix_bytes");
  profile.n_columns = count_or_0(j, "columns");
  profile.n_prompt_tokens = count_or_0(j, "prompt_tokens");
  profile.machine = j.value("machine", json());
  profile.build = j.value("build", json());
  if (!j.contains("types") || !j["types"].is_object()) return wrong("it has no object 'types'");
  for (const auto& [name, one] : j["types"].items()) {
    const TensorTypeInfo* type = find_tensor_type(name);
    if (!type) continue;
    auto named = [&](const Error& error) { return wrong(fmt::format("type {} {}", name, error.message)); };
    if (!one.is_object()) return named({"is no object"});
    TypeSpeed speed;
    auto generation = read_spread(one, "generation_seconds_per_weight");
    if (!generation.ok()) return named(generation.error());
    speed.generation = *generation;
    if (one.contains("prompt_seconds_per_weight")) {
      auto prompt = read_spread(one, "prompt_seconds_per_weight");
      if (!prompt.ok()) return named(prompt.error());
      speed.prompt = *prompt;
    }
    profile.types[type->type] = speed;
  }
  if (profile.types.empty()) return wrong("it has no type that this program knows");
  return profile;
}

std::optional<double> predicted_seconds_per_token(const GgufFile& source, const QuantizationPlan& plan,
                                                  const DeviceProfile& profile) {
  auto h = read_hyperparameters(source.metadata());
  if (!h.ok()) return std::nullopt;
  double sum = 0;
  for (const GgufTensor& tensor : source.tensors()) {
    ParsedTensorName parsed = parse_tensor_name(*h->architecture, tensor.name);
    if (!parsed.rule || !is_quantizable(parsed.rule->role) || tensor.dimensions.size() < 2) continue;
    if (parsed.rule->role == TensorRole::token_embedding && !has_tied_embedding(source)) continue;
    if (parsed.layer >= 0 && plan.dropped_layers.contains(uint32_t(parsed.layer))) continue;
    auto planned = plan.types.find(tensor.name);
    auto seconds = profile.seconds_per_weight(planned == plan.types.end() ? tensor.type : planned->second);
    if (!seconds) return std::nullopt;
    sum += *seconds * double(tensor.n_values());
  }
  return sum;
}

}  // namespace edgellm
