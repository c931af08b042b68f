#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <map>

#include "core/arch/architecture.h"
#include "core/base/output_folder.h"
#include "core/model_file/gguf.h"
#include "core/model_file/printable.h"
#include "core/model_file/safetensors.h"
#include "core/text/tokenizer.h"
#include "recipes/convert.h"
#include "recipes/convert_config.h"
#include "recipes/convert_rows.h"
#include "recipes/model_card.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

struct Target {
  const GgufTensor* tensor;
  const TensorRule* rule;
  uint32_t layer;
  TensorType type;
};

SafetensorsType safetensors_type(TensorType type) {
  if (type == TensorType::F16) return SafetensorsType::F16;
  return type == TensorType::BF16 ? SafetensorsType::BF16 : SafetensorsType::F32;
}

TensorType kept_type(TensorType type) {
  return type == TensorType::F32 || type == TensorType::BF16 ? type : TensorType::F16;
}

std::string_view torch_name(TensorType type) {
  if (type == TensorType::F16) return "float16";
  return type == TensorType::BF16 ? "bfloat16" : "float32";
}

// The tensors of the checkpoint; an Error names one that is unknown, of a wrong shape, or missing.
Result<std::vector<Target>> match_tensors(const GgufFile& file, const Hyperparameters& model,
                                          const ConvertOptions& options) {
  auto wrong = [&](std::string_view name, std::string_view what) {
    return Error{
        fmt::format("cannot convert {}: tensor '{}' {}", file.path().string(), printable(name), what)};
  };
  std::vector<Target> targets;
  for (const GgufTensor& tensor : file.tensors()) {
    ParsedTensorName parsed = parse_tensor_name(*model.architecture, tensor.name);
    if (!parsed.rule || parsed.layer >= int32_t(model.n_layers))
      return wrong(tensor.name, fmt::format("is not part of a {} model of {} layers",
                                            model.architecture->name, model.n_layers));
    auto layer = uint32_t(std::max(parsed.layer, 0));
    if (tensor.dimensions != tensor_dimensions(model, parsed.rule->role, layer))
      return wrong(tensor.name, "has another shape than the metadata gives it");
    if (!info(tensor.type).decode)
      return wrong(tensor.name, fmt::format("is of type {}, wanted weights", to_string(tensor.type)));
    if (parsed.rule->hf_name.empty()) continue;
    TensorType type =
        tensor.dimensions.size() > 1 ? options.type.value_or(kept_type(tensor.type)) : TensorType::F32;
    targets.push_back({&tensor, parsed.rule, layer, type});
  }
  for (const TensorRule& rule : model.architecture->tensors)
    for (uint32_t layer = 0; rule.required && layer < model.n_layers; ++layer)
      if (!file.find(tensor_name(rule.gguf_name, layer)))
        return wrong(tensor_name(rule.gguf_name, layer), "is missing");
  return targets;
}

// True when every layer has all tensors of these roles, false when none has; config.json has one switch for
// them.
Result<bool> has_all_or_none(const GgufFile& file, const Hyperparameters& model,
                             std::span<const TensorRole> roles) {
  size_t n_present = 0, n_wanted = 0;
  for (const TensorRule& rule : model.architecture->tensors) {
    if (std::find(roles.begin(), roles.end(), rule.role) == roles.end()) continue;
    for (uint32_t layer = 0; layer < model.n_layers; ++layer, ++n_wanted)
      n_present += file.find(tensor_name(rule.gguf_name, layer)) != nullptr;
  }
  if (n_present && n_present != n_wanted)
    return Error{
        fmt::format("cannot convert {}: only some of its layers have biases, which config.json cannot say",
                    file.path().string())};
  return n_present > 0;
}

Result<ConfigExtras> config_extras(const GgufFile& file, const Hyperparameters& model,
                                   std::span<const Target> targets) {
  using enum TensorRole;
  ConfigExtras extras;
  extras.tied_embedding = !file.find("output.weight");
  constexpr TensorRole kAttention[] = {attention_q_bias, attention_k_bias, attention_v_bias,
                                       attention_output_bias};
  constexpr TensorRole kMlp[] = {ffn_gate_bias, ffn_up_bias, ffn_down_bias};
  EDGELLM_ASSIGN_OR_RETURN(extras.attention_bias, has_all_or_none(file, model, kAttention));
  EDGELLM_ASSIGN_OR_RETURN(extras.mlp_bias, has_all_or_none(file, model, kMlp));
  if (const GgufTensor* factors = file.find("rope_freqs.weight")) {
    extras.rope_factors.resize(factors->n_values());
    info(factors->type).decode(factors->data.data(), extras.rope_factors.data(), extras.rope_factors.size());
  }
  std::map<TensorType, uint64_t> n_values_of;
  for (const Target& target : targets)
    if (target.tensor->dimensions.size() > 1) n_values_of[target.type] += target.tensor->n_values();
  auto most = std::max_element(n_values_of.begin(), n_values_of.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; });
  extras.dtype = torch_name(most == n_values_of.end() ? TensorType::F32 : most->first);
  return extras;
}

RowJob job_for(const Target& target, const Hyperparameters& model) {
  const GgufTensor& tensor = *target.tensor;
  RowJob job;
  job.name = printable(tensor.name);
  job.n_columns = tensor.n_columns();
  job.n_rows = tensor.n_rows();
  size_t n_row_bytes = *row_bytes(tensor.type, job.n_columns);
  job.read = [&tensor, n_row_bytes](size_t row, float* values) {
    info(tensor.type).decode(tensor.data.data() + row * n_row_bytes, values, tensor.n_columns());
  };
  job.type = target.type;
  switch (target.rule->transform) {
    case TensorTransform::none:
      break;
    case TensorTransform::plus_one:
      job.shift = -1;
      break;
    case TensorTransform::permute_q:
    case TensorTransform::permute_k:
      job.order = HeadOrder::pairs_to_halves;
      job.n_heads = (target.rule->transform == TensorTransform::permute_q ? model.n_heads
                                                                          : model.n_kv_heads)[target.layer];
      break;
  }
  return job;
}

}  // namespace

Result<ConvertReport> convert_gguf_to_hf(const fs::path& path, const fs::path& output_folder,
                                         const ConvertOptions& options) {
  if (options.type && *options.type != TensorType::F32 && *options.type != TensorType::F16 &&
      *options.type != TensorType::BF16)
    return Error{fmt::format("cannot convert to {}: a Hugging Face folder is converted to F32, F16 or BF16",
                             to_string(*options.type))};
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters model, read_hyperparameters(file.metadata()));
  EDGELLM_ASSIGN_OR_RETURN(std::vector<Target> targets, match_tensors(file, model, options));
  EDGELLM_ASSIGN_OR_RETURN(ConfigExtras extras, config_extras(file, model, targets));
  EDGELLM_ASSIGN_OR_RETURN(nlohmann::ordered_json config,
                           config_from_metadata(file.metadata(), model, extras));

  EDGELLM_ASSIGN_OR_RETURN(OutputFolder folder, OutputFolder::create(output_folder));
  EDGELLM_RETURN_IF_ERROR(write_hf_tokenizer(file.metadata(), folder.temporary()));
  EDGELLM_RETURN_IF_ERROR(
      write_text_file(folder.temporary() / "config.json",
                      config.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"));
  EDGELLM_RETURN_IF_ERROR(write_model_card(file.metadata(), folder.temporary()));

  std::vector<SafetensorsWriter::Declaration> declarations;
  uint64_t n_values = 0;
  for (const Target& target : targets) {
    std::vector<uint64_t> shape = target.tensor->dimensions;
    std::reverse(shape.begin(), shape.end());
    declarations.push_back(
        {tensor_name(target.rule->hf_name, target.layer), safetensors_type(target.type), shape});
    n_values += target.tensor->n_values();
  }
  EDGELLM_ASSIGN_OR_RETURN(
      SafetensorsWriter writer,
      SafetensorsWriter::create(folder.temporary(), declarations, options.most_shard_bytes));
  ThreadPool threads(options.n_threads);
  ProgressMeter meter(options.progress, "converting", double(n_values));
  uint64_t n_bytes = 0;
  for (const Target& target : targets) {
    EDGELLM_RETURN_IF_ERROR(
        stream_rows(job_for(target, model), threads, [&](std::span<const std::byte> bytes) {
          n_bytes += bytes.size();
          return writer.write(bytes);
        }));
    file.give_back(*target.tensor);
    meter.add(double(target.tensor->n_values()), target.tensor->name);
  }
  EDGELLM_RETURN_IF_ERROR(writer.commit());
  EDGELLM_RETURN_IF_ERROR(folder.commit());
  meter.finish();
  return ConvertReport{std::string(model.architecture->name), targets.size(), n_bytes};
}

}  // namespace edgellm
