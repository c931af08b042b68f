#include "recipes/inspect.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/model_file/gguf.h"
#include "core/model_file/hf_folder.h"
#include "recipes/convert_config.h"

namespace edgellm {
namespace {

void add(ModelContents& contents, ModelContents::Tensor tensor) {
  for (ModelContents::Share* share :
       {&contents.all, &contents.by_role[tensor.role], &contents.by_type[tensor.type]}) {
    ++share->n_tensors;
    share->n_bytes += tensor.n_bytes;
    share->n_values += tensor.n_values;
  }
  contents.tensors.push_back(std::move(tensor));
}

Result<ModelContents> inspect_gguf(const std::filesystem::path& path) {
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
  ModelContents contents;
  contents.format = fmt::format("GGUF v{}", file.version());
  contents.architecture = file.metadata().string_or("general.architecture", "unknown");
  contents.n_file_bytes = file.n_file_bytes();
  contents.metadata = file.metadata();
  auto read = read_hyperparameters(file.metadata());
  if (read.ok())
    contents.hyperparameters = *read;
  else
    contents.why_no_hyperparameters = read.error().message;
  auto architecture = find_architecture(contents.architecture);
  for (const GgufTensor& tensor : file.tensors()) {
    ParsedTensorName parsed;
    if (architecture.ok()) parsed = parse_tensor_name(**architecture, tensor.name);
    add(contents, {tensor.name, std::string(to_string(tensor.type)),
                   parsed.rule ? std::string(to_string(parsed.rule->role)) : "other", tensor.dimensions,
                   tensor.data.size(), tensor.n_values()});
  }
  return contents;
}

// The rule whose checkpoint name this is, whatever the layer.
const TensorRule* find_rule(const Architecture& architecture, std::string_view hf_name) {
  for (const TensorRule& rule : architecture.tensors) {
    size_t at = rule.hf_name.find("{}");
    if (at == std::string_view::npos) {
      if (rule.hf_name == hf_name) return &rule;
      continue;
    }
    std::string_view before = rule.hf_name.substr(0, at), after = rule.hf_name.substr(at + 2);
    if (hf_name.size() <= before.size() + after.size() || !hf_name.starts_with(before) ||
        !hf_name.ends_with(after))
      continue;
    std::string_view layer = hf_name.substr(before.size(), hf_name.size() - before.size() - after.size());
    if (std::all_of(layer.begin(), layer.end(), [](char c) { return c >= '0' && c <= '9'; })) return &rule;
  }
  return nullptr;
}

Result<ModelContents> inspect_folder(const std::filesystem::path& path) {
  EDGELLM_ASSIGN_OR_RETURN(HfFolder folder, HfFolder::open(path));
  ModelContents contents;
  contents.format = "Hugging Face folder";
  contents.architecture = "unknown";
  contents.n_file_bytes = folder.n_file_bytes();
  auto architecture = architecture_of_config(folder.config());
  if (architecture.ok()) {
    contents.architecture = (*architecture)->name;
    Status known = metadata_from_config(folder.config(), **architecture, contents.metadata);
    // The vocabulary's size is all that is wanted of it here.
    const nlohmann::json& config = text_config(folder.config());
    if (auto size = config.find("vocab_size"); size != config.end() && size->is_number_unsigned())
      contents.metadata.set(contents.architecture + ".vocab_size",
                            MetadataValue::of_uint64(size->get<uint64_t>()));
    auto read = known.ok() ? read_hyperparameters(contents.metadata) : Result<Hyperparameters>(known.error());
    if (read.ok())
      contents.hyperparameters = *read;
    else
      contents.why_no_hyperparameters = read.error().message;
  } else {
    contents.why_no_hyperparameters = architecture.error().message;
  }
  for (const SafetensorsFile& file : folder.files()) {
    for (const SafetensorsTensor& tensor : file.tensors()) {
      const TensorRule* rule = architecture.ok() ? find_rule(**architecture, tensor.name) : nullptr;
      std::vector<uint64_t> dimensions(tensor.shape.rbegin(), tensor.shape.rend());
      add(contents, {tensor.name, std::string(to_string(tensor.type)),
                     rule ? std::string(to_string(rule->role)) : "other", std::move(dimensions),
                     tensor.data.size(), tensor.n_values()});
    }
  }
  return contents;
}

}  // namespace

Result<ModelContents> inspect_model(const std::filesystem::path& path) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) return inspect_folder(path);
  return inspect_gguf(path);
}

}  // namespace edgellm
