#include "recipes/type_plan.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/arch/architecture.h"
#include "core/base/content_hash.h"
#include "core/base/output_file.h"
#include "core/model_file/hf_folder.h"
#include "core/model_file/printable.h"

namespace edgellm {
namespace {

constexpr uint64_t kMostPlanBytes = 64 << 20;

bool matches(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n]) && pattern[p] != '*') {
      ++p;
      ++n;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool is_weight_matrix(const Architecture& architecture, const GgufTensor& tensor) {
  ParsedTensorName parsed = parse_tensor_name(architecture, tensor.name);
  return parsed.rule && is_quantizable(parsed.rule->role) && tensor.dimensions.size() > 1;
}

Result<const TensorTypeInfo*> find_weights_type(std::string_view name) {
  const TensorTypeInfo* type = find_tensor_type(name);
  if (type && is_writable(*type)) return type;
  std::string known;
  for (const TensorTypeInfo& one : tensor_types())
    if (is_writable(one)) known += fmt::format(" {}", one.name);
  if (type)
    return Error{fmt::format("type {} can be read but not written; those that can are{}", name, known)};
  return Error{fmt::format("there is no type '{}'; those that can be written are{}", printable(name), known)};
}

// Error when the tensor's rows do not fit the type.
Status set_type(const GgufTensor& tensor, const TensorTypeInfo& type, QuantizationPlan& plan) {
  if (!row_bytes(type.type, tensor.n_columns()))
    return Error{fmt::format("tensor {} has rows of {} values, which do not fit {}: it has blocks of {}",
                             tensor.name, tensor.n_columns(), type.name, type.n_values_per_block)};
  plan.types[tensor.name] = type.type;
  return {};
}

Status apply_line(std::string_view pattern, std::string_view type_name, const Architecture& architecture,
                  const GgufFile& source, QuantizationPlan& plan) {
  EDGELLM_ASSIGN_OR_RETURN(const TensorTypeInfo* type, find_weights_type(type_name));
  if (pattern.find_first_of("*?") == std::string_view::npos) {
    const GgufTensor* tensor = source.find(std::string(pattern));
    if (!tensor) return Error{fmt::format("the model has no tensor '{}'", printable(pattern))};
    if (!is_weight_matrix(architecture, *tensor))
      return Error{fmt::format("tensor {} is no weight matrix: it keeps its type", tensor->name)};
    return set_type(*tensor, *type, plan);
  }
  bool found = false;
  for (const GgufTensor& tensor : source.tensors()) {
    if (!is_weight_matrix(architecture, tensor) || !matches(pattern, tensor.name)) continue;
    EDGELLM_RETURN_IF_ERROR(set_type(tensor, *type, plan));
    found = true;
  }
  if (!found) return Error{fmt::format("no weight matrix of the model is called '{}'", printable(pattern))};
  return {};
}

Status apply_lines(const std::string& text, const Architecture& architecture, const GgufFile& source,
                   const std::filesystem::path& file, QuantizationPlan& plan) {
  std::istringstream lines(text);
  std::string line;
  for (size_t number = 1; std::getline(lines, line); ++number) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string pattern, type, more;
    if (!(words >> pattern)) continue;
    Status status = !(words >> type) || (words >> more)
                        ? Status(Error{"wanted a tensor's name or pattern and a type, with a space between"})
                        : apply_line(pattern, type, architecture, source, plan);
    if (!status.ok())
      return Error{fmt::format("{}, line {}: {}", file.string(), number, status.error().message)};
  }
  return {};
}

Status apply_report(const nlohmann::json& report, GgufFile& source, const std::filesystem::path& file,
                    QuantizationPlan& plan) {
  auto wrong = [&](std::string_view what) { return Error{fmt::format("{}: {}", file.string(), what)}; };
  auto text = [](const nlohmann::json& j, const char* key) {
    return j.is_object() && j.contains(key) && j[key].is_string() ? j[key].get<std::string>() : std::string();
  };
  if (text(report, "command") != "fit" || !report.contains("tensors") || !report["tensors"].is_array())
    return wrong("it is no report of a fit, which has the key 'tensors'");
  EDGELLM_ASSIGN_OR_RETURN(std::string hash, hash_files(source.paths()));
  if (std::string of_plan = text(report, "model_hash"); of_plan != hash)
    return wrong(fmt::format("the plan is for the model with hash {} ({}), and {} has hash {}",
                             printable(of_plan), printable(text(report, "model")), source.path().string(),
                             hash));
  if (report.contains("output_tied") && report["output_tied"] == true) {
    source.leave_out("output.weight");
    plan.types.erase("output.weight");
  }
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(source.metadata()));
  for (const char* parts : {"dropped_attention", "dropped_ffn", "ffn_widths"})
    if (report.contains(parts) && !report[parts].empty())
      return wrong("the fit left out parts of layers, which only its own file is without: quantize that one");
  if (report.contains("dropped_layers") && report["dropped_layers"].is_array())
    for (const auto& layer : report["dropped_layers"]) {
      if (!layer.is_number_unsigned() || layer.get<uint64_t>() >= h.n_layers)
        return wrong(fmt::format("dropped layer {} is none of the model's {}", layer.dump(), h.n_layers));
      plan.dropped_layers.insert(layer.get<uint32_t>());
    }
  if (plan.dropped_layers.size() >= h.n_layers) return wrong("it drops every layer");
  if (report.contains("budget"))
    if (auto kv = parse_kv_type(text(report["budget"], "kv")); kv.ok()) plan.kv_type = *kv;
  for (const auto& row : report["tensors"]) {
    std::string name = text(row, "name");
    const GgufTensor* tensor = source.find(name);
    if (!tensor || !is_weight_matrix(*h.architecture, *tensor))
      return wrong(fmt::format("the model has no weight matrix '{}'", printable(name)));
    // A tensor that a fit has left as it was may have a type that cannot be written.
    if (text(row, "type") == to_string(tensor->type)) {
      plan.types[name] = tensor->type;
      continue;
    }
    auto type = find_weights_type(text(row, "type"));
    if (!type.ok()) return wrong(fmt::format("tensor {}: {}", name, type.error().message));
    if (Status status = set_type(*tensor, **type, plan); !status.ok()) return wrong(status.error().message);
  }
  return {};
}

}  // namespace

Status apply_type_plan(const std::filesystem::path& file, GgufFile& source, QuantizationPlan& plan) {
  EDGELLM_ASSIGN_OR_RETURN(std::string text, read_text_file(file, kMostPlanBytes));
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '{') {
    EDGELLM_ASSIGN_OR_RETURN(nlohmann::json report, read_json_object(file, kMostPlanBytes));
    return apply_report(report, source, file, plan);
  }
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(source.metadata()));
  return apply_lines(text, *h.architecture, source, file, plan);
}

}  // namespace edgellm
