#include "recipes/quantize.h"

#include <fmt/format.h>

#include "core/arch/architecture.h"
#include "core/base/content_hash.h"
#include "core/base/output_file.h"
#include "recipes/pruned_weights.h"
#include "recipes/tensor_encoding.h"

namespace edgellm {
namespace {

// Keys of GGUF whose arrays have one entry per layer.
bool is_per_layer_array(const MetadataValue& value, size_t n_layers) {
  return value.type == MetadataType::array && value.n_elements() == n_layers;
}

MetadataValue without_layers(const MetadataValue& value, const std::set<uint32_t>& dropped) {
  MetadataValue kept = value;
  std::visit(
      [&](const auto& all) {
        using V = std::decay_t<decltype(all)>;
        if constexpr (requires { all.begin(); } && !std::is_same_v<V, std::string>) {
          V left;
          for (size_t i = 0; i < all.size(); ++i)
            if (!dropped.contains(uint32_t(i))) left.push_back(all[i]);
          kept.held = std::move(left);
        }
      },
      value.held);
  return kept;
}

}  // namespace

bool is_writable(const TensorTypeInfo& type) {
  return type.encode && type.decode && type.type != TensorType::Q8_K;
}

std::string plan_hash(const QuantizationPlan& plan) {
  std::string all;
  for (const auto& [name, type] : plan.types) all += fmt::format("{} {}\n", name, to_string(type));
  for (uint32_t layer : plan.dropped_layers) all += fmt::format("without {}\n", layer);
  return hash_text(all);
}

bool has_tied_embedding(const GgufFile& source) {
  return source.find("output.weight") == nullptr;
}

Result<QuantizationPlan> preset_plan(const GgufFile& source, const Preset& preset) {
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(source.metadata()));
  PresetContext context{h.n_layers, h.n_heads[0], h.n_kv_heads[0], has_tied_embedding(source)};
  QuantizationPlan plan;
  plan.file_type = preset.file_type;
  for (const GgufTensor& tensor : source.tensors()) {
    ParsedTensorName parsed = parse_tensor_name(*h.architecture, tensor.name);
    if (!parsed.rule || !is_quantizable(parsed.rule->role) || tensor.dimensions.size() < 2) continue;
    plan.types[tensor.name] =
        preset_tensor_type(preset, context, parsed.rule->role, parsed.layer, tensor.n_columns());
  }
  return plan;
}

Result<PlannedFile> planned_file(const GgufFile& source, const QuantizationPlan& plan) {
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(source.metadata()));
  if (!plan.dropped_layers.empty() && h.sliding_window_period)
    return Error{
        fmt::format("architecture {} alternates layers with and without a sliding window by their number: "
                    "layers cannot be dropped",
                    h.architecture->name)};
  PlannedFile file;
  file.metadata = source.metadata();
  for (const char* key : {"split.no", "split.count", "split.tensors.count"}) file.metadata.remove(key);
  if (!tensors_losing_zeros(source, plan).empty()) forget_pruned_weights(file.metadata);
  if (plan.kv_type == KvType::q8_0)
    file.metadata.set(kKvTypeKey, MetadataValue::of_string(std::string(to_string(*plan.kv_type))));
  else if (plan.kv_type)
    file.metadata.remove(kKvTypeKey);
  file.metadata.set("general.file_type", MetadataValue::of_uint32(plan.file_type));
  file.metadata.set("general.quantization_version", MetadataValue::of_uint32(2));
  if (!plan.dropped_layers.empty()) {
    std::string prefix = std::string(h.architecture->name) + ".";
    for (const auto& [key, value] : source.metadata().entries())
      if (key.starts_with(prefix) && is_per_layer_array(value, h.n_layers))
        file.metadata.set(key, without_layers(value, plan.dropped_layers));
    file.metadata.set(prefix + "block_count",
                      MetadataValue::of_uint32(h.n_layers - uint32_t(plan.dropped_layers.size())));
  }
  std::vector<uint32_t> number(h.n_layers);
  for (uint32_t layer = 0, next = 0; layer < h.n_layers; ++layer)
    number[layer] = plan.dropped_layers.contains(layer) ? UINT32_MAX : next++;
  for (const GgufTensor& tensor : source.tensors()) {
    ParsedTensorName parsed = parse_tensor_name(*h.architecture, tensor.name);
    std::string name = tensor.name;
    if (parsed.rule && parsed.layer >= 0 && uint32_t(parsed.layer) < h.n_layers) {
      if (number[size_t(parsed.layer)] == UINT32_MAX) continue;
      name = tensor_name(parsed.rule->gguf_name, number[size_t(parsed.layer)]);
    }
    auto planned = plan.types.find(tensor.name);
    file.tensors.push_back(
        {name, planned == plan.types.end() ? tensor.type : planned->second, tensor.dimensions});
    file.sources.push_back(&tensor);
  }
  return file;
}

Result<uint64_t> planned_file_bytes(const GgufFile& source, const QuantizationPlan& plan) {
  EDGELLM_ASSIGN_OR_RETURN(PlannedFile file, planned_file(source, plan));
  return GgufWriter::file_bytes(file.metadata, file.tensors);
}

std::vector<float> column_weights(const GgufFile& source, const ImportanceMatrix* importance,
                                  const GgufTensor& tensor) {
  if (!importance) return {};
  std::vector<float> weights = importance->weights(tensor.name, tensor.n_columns());
  if (tensor.name == "token_embd.weight" && has_tied_embedding(source)) {
    if (weights.empty()) weights = importance->weights("output.weight", tensor.n_columns());
    for (float& w : weights) w = 0.5f * w + 0.5f;
  }
  return weights;
}

Status quantize_model(const GgufFile& source, const QuantizationPlan& plan,
                      const ImportanceMatrix* importance, const std::filesystem::path& output,
                      ThreadPool& threads, const Progress& progress) {
  EDGELLM_RETURN_IF_ERROR(check_is_no_input(output, source.paths()));
  EDGELLM_ASSIGN_OR_RETURN(PlannedFile file, planned_file(source, plan));
  EDGELLM_ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(output, file.metadata, file.tensors));
  double n_values = 0;
  for (const GgufTensor* tensor : file.sources) n_values += double(tensor->n_values());
  ProgressMeter meter(progress, "quantizing", n_values);
  for (size_t i = 0; i < file.sources.size(); ++i) {
    const GgufTensor& tensor = *file.sources[i];
    std::vector<float> weights = column_weights(source, importance, tensor);
    EncodeTensorOptions options;
    options.type = file.tensors[i].type;
    options.importance = weights;
    auto written = encode_tensor(tensor, options, threads, [&](std::span<const std::byte> bytes) {
      meter.add(double(bytes.size()) / info(options.type).bits_per_value() * 8, tensor.name);
      return writer.write(bytes);
    });
    if (!written.ok()) return written.error();
    source.give_back(tensor);
  }
  meter.finish();
  return writer.commit();
}

}  // namespace edgellm
