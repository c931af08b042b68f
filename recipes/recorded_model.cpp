#include "recipes/recorded_model.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "core/arch/architecture.h"
#include "core/base/content_hash.h"
#include "plan/preset.h"
#include "recipes/quantize.h"

namespace edgellm {
namespace {

bool is_of_preset(const GgufFile& file, const Preset& preset) {
  auto plan = preset_plan(file, preset);
  return plan.ok() && !plan->types.empty() &&
         std::all_of(file.tensors().begin(), file.tensors().end(), [&](const GgufTensor& tensor) {
           auto planned = plan->types.find(tensor.name);
           return planned == plan->types.end() || planned->second == tensor.type;
         });
}

std::string method_of(const GgufFile& file) {
  // Presets may agree on a small model; the file's own word decides between them.
  int64_t claimed = file.metadata().integer_or("general.file_type", -1);
  const Preset* found = nullptr;
  for (const Preset& preset : presets())
    if ((!found || int64_t(preset.file_type) == claimed) && is_of_preset(file, preset)) found = &preset;
  if (found) return std::string(found->name);
  std::map<std::string_view, uint64_t> n_values;
  for (const GgufTensor& tensor : file.tensors()) n_values[to_string(tensor.type)] += tensor.n_values();
  auto most = std::max_element(n_values.begin(), n_values.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == n_values.end() ? "empty" : fmt::format("mostly {}", most->first);
}

nlohmann::json types_of(const GgufFile& file) {
  auto architecture = find_architecture(file.metadata().string_or("general.architecture", ""));
  nlohmann::json types = nlohmann::json::object();
  for (const GgufTensor& tensor : file.tensors()) {
    ParsedTensorName parsed;
    if (architecture.ok()) parsed = parse_tensor_name(**architecture, tensor.name);
    std::string role = parsed.rule ? std::string(to_string(parsed.rule->role)) : "other";
    nlohmann::json& sum = types[role][std::string(to_string(tensor.type))];
    auto add = [&](const char* key, uint64_t n) { sum[key] = sum.value(key, uint64_t{0}) + n; };
    if (sum.is_null()) sum = nlohmann::json::object();
    add("tensors", 1);
    add("bytes", tensor.data.size());
    add("parameters", tensor.n_values());
  }
  return types;
}

}  // namespace

Result<RecordedModel> describe_model(const GgufFile& file) {
  RecordedModel model;
  model.file = file.path().filename().string();
  model.name = file.metadata().string_or("general.name", "");
  if (model.name.empty()) model.name = file.path().stem().string();
  model.architecture = file.metadata().string_or("general.architecture", "");
  model.method = method_of(file);
  model.n_bytes = file.n_file_bytes();
  for (const GgufTensor& tensor : file.tensors()) model.n_parameters += tensor.n_values();
  model.types = types_of(file);
  EDGELLM_ASSIGN_OR_RETURN(model.hash, hash_files(file.paths()));
  return model;
}

}  // namespace edgellm
