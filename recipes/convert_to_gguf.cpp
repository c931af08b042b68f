#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

#include "core/arch/architecture.h"
#include "core/base/output_file.h"
#include "core/model_file/gguf.h"
#include "core/model_file/hf_folder.h"
#include "core/model_file/printable.h"
#include "core/text/tokenizer.h"
#include "recipes/convert.h"
#include "recipes/convert_config.h"
#include "recipes/convert_rows.h"
#include "recipes/model_card.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

// Token type of GGUF vocabularies for rows of the embedding that no token uses.
constexpr int32_t kUnusedToken = 5;

// The name that the rules know, of a tensor of a multimodal checkpoint; empty for what is no part of the text
// model.
std::string text_model_name(std::string name) {
  constexpr std::string_view kPrefix = "language_model.";
  for (std::string_view other :
       {"vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."})
    if (name.starts_with(other)) return {};
  if (name.starts_with(kPrefix)) return name.substr(kPrefix.size());  // language_model.model.layers.0 ...
  if (name.starts_with("model.language_model."))
    name.erase(6, kPrefix.size());  // model.language_model.layers.0 ...
  return name;
}

// Constants that old checkpoints carry as tensors, and that follow from config.json.
bool is_derived(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".masked_bias");
}

TensorType kept_type(SafetensorsType type) {
  switch (type) {
    case SafetensorsType::F32:
    case SafetensorsType::F64:
      return TensorType::F32;
    case SafetensorsType::F16:
      return TensorType::F16;
    default:
      return TensorType::BF16;  // holds the 8-bit floats exactly, too
  }
}

// general.file_type of a file whose matrices are mostly of this type.
uint32_t file_type_number(TensorType type) {
  switch (type) {
    case TensorType::F32:
      return 0;
    case TensorType::Q8_0:
      return 7;
    case TensorType::BF16:
      return 32;
    default:
      return 1;
  }
}

// "135M" for 134515008 values, as llama.cpp's converter words it.
std::string size_label(uint64_t n_values) {
  auto rounded = [&](double unit, char suffix) {
    double n = double(n_values) / unit;
    return n < 9.5 ? fmt::format("{:.1f}{}", n, suffix) : fmt::format("{:.0f}{}", n, suffix);
  };
  if (n_values > 1'000'000'000'000) return rounded(1e12, 'T');
  if (n_values > 1'000'000'000) return rounded(1e9, 'B');
  if (n_values > 1'000'000) return rounded(1e6, 'M');
  return rounded(1e3, 'K');
}

struct Source {
  const TensorRule* rule = nullptr;
  uint32_t layer = 0;
  const SafetensorsTensor* tensor = nullptr;  // null: rope factors, which are computed
};

// Every tensor the family's rules ask for, in the order of the output; an Error names what is missing or left
// over.
Result<std::vector<Source>> match_tensors(const HfFolder& folder, const Hyperparameters& model) {
  bool multimodal = folder.config().contains("text_config");
  std::map<std::string, const SafetensorsTensor*> present;
  for (const SafetensorsFile& file : folder.files()) {
    for (const SafetensorsTensor& tensor : file.tensors()) {
      std::string name = multimodal ? text_model_name(tensor.name) : tensor.name;
      if (!name.empty() && !is_derived(name)) present[name] = &tensor;
    }
  }
  const nlohmann::json& config = text_config(folder.config());
  // Saved by some programs as a second copy of the embedding.
  if (config.contains("tie_word_embeddings") && config["tie_word_embeddings"] == true)
    present.erase("lm_head.weight");

  std::vector<Source> sources;
  auto take = [&](const TensorRule& rule, uint32_t layer) -> Status {
    auto found = present.find(tensor_name(rule.hf_name, layer));
    if (found == present.end()) {
      if (!rule.required) return {};
      return Error{fmt::format("cannot convert {}: tensor '{}' is missing", folder.path().string(),
                               tensor_name(rule.hf_name, layer))};
    }
    sources.push_back({&rule, layer, found->second});
    present.erase(found);
    return {};
  };
  auto take_all = [&](bool before_layers) -> Status {
    for (const TensorRule& rule : model.architecture->tensors) {
      bool of_layer = rule.gguf_name.starts_with("blk.");
      if (!of_layer && (rule.role == TensorRole::token_embedding) == before_layers && !rule.hf_name.empty())
        EDGELLM_RETURN_IF_ERROR(take(rule, 0));
    }
    return {};
  };
  EDGELLM_RETURN_IF_ERROR(take_all(true));
  for (uint32_t layer = 0; layer < model.n_layers; ++layer)
    for (const TensorRule& rule : model.architecture->tensors)
      if (rule.gguf_name.starts_with("blk.")) EDGELLM_RETURN_IF_ERROR(take(rule, layer));
  EDGELLM_RETURN_IF_ERROR(take_all(false));
  if (!present.empty())
    return Error{fmt::format("cannot convert {}: tensor '{}' is not part of a {} model of {} layers",
                             folder.path().string(), printable(present.begin()->first),
                             model.architecture->name, model.n_layers)};
  return sources;
}

Status check_tensor(const Source& source, const Hyperparameters& model) {
  const SafetensorsTensor& tensor = *source.tensor;
  if (!is_real(tensor.type))
    return Error{fmt::format("tensor '{}' is of type {}, wanted floating point", printable(tensor.name),
                             to_string(tensor.type))};
  std::vector<uint64_t> wanted = tensor_dimensions(model, source.rule->role, source.layer);
  std::reverse(wanted.begin(), wanted.end());
  if (tensor.shape != wanted) {
    auto text = [](const std::vector<uint64_t>& shape) {
      std::string list;
      for (uint64_t n : shape) list += (list.empty() ? "" : ", ") + std::to_string(n);
      return "[" + list + "]";
    };
    return Error{fmt::format("tensor '{}' has shape {}, config.json gives it {}", printable(tensor.name),
                             text(tensor.shape), text(wanted))};
  }
  return {};
}

// An embedding may have more rows than the tokenizer has tokens.
Status pad_vocabulary(const HfFolder& folder, Metadata& metadata) {
  const nlohmann::json& config = text_config(folder.config());
  auto size = config.find("vocab_size");
  EDGELLM_ASSIGN_OR_RETURN(const std::vector<std::string>* present,
                           metadata.strings("tokenizer.ggml.tokens"));
  if (size == config.end() || !size->is_number_unsigned()) return {};
  uint64_t wanted = size->get<uint64_t>();
  if (wanted > (1 << 24))
    return Error{fmt::format("config.json: 'vocab_size' is {}, wanted at most 2^24", wanted)};
  if (present->size() >= wanted) return {};
  std::vector<std::string> tokens = *present;
  EDGELLM_ASSIGN_OR_RETURN(std::vector<int64_t> stored, metadata.integers("tokenizer.ggml.token_type"));
  std::vector<int32_t> types(stored.begin(), stored.end());
  types.resize(tokens.size(), kUnusedToken);
  while (tokens.size() < wanted) tokens.push_back(fmt::format("[PAD{}]", tokens.size()));
  types.resize(tokens.size(), kUnusedToken);
  if (metadata.contains("tokenizer.ggml.scores")) {
    EDGELLM_ASSIGN_OR_RETURN(std::vector<double> reals, metadata.reals("tokenizer.ggml.scores"));
    std::vector<float> scores(reals.begin(), reals.end());
    scores.resize(tokens.size(), -1000.0f);
    metadata.set("tokenizer.ggml.scores", MetadataValue::of_float32s(scores));
  }
  metadata.set("tokenizer.ggml.tokens", MetadataValue::of_strings(std::move(tokens)));
  metadata.set("tokenizer.ggml.token_type", MetadataValue::of_int32s(types));
  return {};
}

void set_general_metadata(const HfFolder& folder, uint64_t n_values, Metadata& metadata) {
  std::string name;
  auto given = folder.config().find("_name_or_path");
  if (given != folder.config().end() && given->is_string())
    name = fs::path(given->get<std::string>()).filename();
  if (name.empty()) name = fs::weakly_canonical(folder.path()).filename();
  metadata.set("general.type", MetadataValue::of_string("model"));
  metadata.set("general.name", MetadataValue::of_string(name));
  metadata.set("general.size_label", MetadataValue::of_string(size_label(n_values)));
  read_model_card(folder.path(), metadata);
}

RowJob job_for(const Source& source, const Hyperparameters& model, TensorType type) {
  const SafetensorsTensor& tensor = *source.tensor;
  RowJob job;
  job.name = printable(tensor.name);
  job.n_columns = tensor.shape.back();
  job.n_rows = tensor.n_values() / job.n_columns;
  size_t n_row_bytes = job.n_columns * value_bytes(tensor.type);
  job.read = [&tensor, n_row_bytes, n = job.n_columns](size_t row, float* values) {
    decode_values(tensor.type, tensor.data.data() + row * n_row_bytes, values, n);
  };
  job.type = type;
  switch (source.rule->transform) {
    case TensorTransform::none:
      break;
    case TensorTransform::plus_one:
      job.shift = 1;
      break;
    case TensorTransform::permute_q:
    case TensorTransform::permute_k:
      job.order = HeadOrder::halves_to_pairs;
      job.n_heads = (source.rule->transform == TensorTransform::permute_q ? model.n_heads
                                                                          : model.n_kv_heads)[source.layer];
      break;
  }
  return job;
}

}  // namespace

Result<ConvertReport> convert_hf_to_gguf(const fs::path& path, const fs::path& output,
                                         const ConvertOptions& options) {
  if (options.type && *options.type != TensorType::F32 && *options.type != TensorType::F16 &&
      *options.type != TensorType::BF16 && *options.type != TensorType::Q8_0)
    return Error{fmt::format("cannot convert to {}: a GGUF file is converted to F32, F16, BF16 or Q8_0",
                             to_string(*options.type))};
  EDGELLM_ASSIGN_OR_RETURN(HfFolder folder, HfFolder::open(path));
  std::error_code code;
  std::vector<fs::path> inputs;
  for (const auto& entry : fs::directory_iterator(path, code)) inputs.push_back(entry.path());
  EDGELLM_RETURN_IF_ERROR(check_is_no_input(output, inputs));

  EDGELLM_ASSIGN_OR_RETURN(const Architecture* architecture, architecture_of_config(folder.config()));
  Metadata numbers, tokenizer;
  EDGELLM_RETURN_IF_ERROR(metadata_from_config(folder.config(), *architecture, numbers));
  EDGELLM_RETURN_IF_ERROR(tokenizer_metadata_from_hf(path, tokenizer));
  EDGELLM_RETURN_IF_ERROR(pad_vocabulary(folder, tokenizer));
  Metadata whole = numbers;
  for (const auto& [key, value] : tokenizer.entries()) whole.set(key, value);
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters model, read_hyperparameters(whole));
  EDGELLM_ASSIGN_OR_RETURN(std::vector<float> rope_factors, rope_factors_from_config(folder.config(), model));
  EDGELLM_ASSIGN_OR_RETURN(std::vector<Source> sources, match_tensors(folder, model));
  for (const TensorRule& rule : architecture->tensors)
    if (rule.role == TensorRole::rope_factors && !rope_factors.empty())
      sources.push_back({&rule, 0, nullptr});

  std::vector<GgufWriter::Declaration> declarations;
  std::map<TensorType, uint64_t> n_values_of;  // of the matrices
  uint64_t n_values = 0;
  for (const Source& source : sources) {
    std::vector<uint64_t> dimensions = tensor_dimensions(model, source.rule->role, source.layer);
    TensorType type = TensorType::F32;
    if (source.tensor) {
      EDGELLM_RETURN_IF_ERROR(check_tensor(source, model));
      n_values += source.tensor->n_values();
    }
    if (source.tensor && dimensions.size() > 1) {
      type = options.type.value_or(kept_type(source.tensor->type));
      if (!row_bytes(type, dimensions[0])) type = TensorType::F16;  // as llama.cpp's converter falls back
      n_values_of[type] += source.tensor->n_values();
    }
    declarations.push_back({tensor_name(source.rule->gguf_name, source.layer), type, std::move(dimensions)});
  }
  auto most = std::max_element(n_values_of.begin(), n_values_of.end(),
                               [](const auto& a, const auto& b) { return a.second < b.second; });

  Metadata metadata;
  metadata.set("general.architecture", MetadataValue::of_string(std::string(architecture->name)));
  set_general_metadata(folder, n_values, metadata);
  for (const auto& [key, value] : numbers.entries()) metadata.set(key, value);
  metadata.set(
      "general.file_type",
      MetadataValue::of_uint32(file_type_number(most == n_values_of.end() ? TensorType::F32 : most->first)));
  for (const auto& [key, value] : tokenizer.entries()) metadata.set(key, value);
  metadata.set("general.quantization_version", MetadataValue::of_uint32(2));

  EDGELLM_ASSIGN_OR_RETURN(uint64_t n_bytes, GgufWriter::file_bytes(metadata, declarations));
  EDGELLM_ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(output, metadata, declarations));
  ThreadPool threads(options.n_threads);
  ProgressMeter meter(options.progress, "converting", double(n_values));
  for (size_t i = 0; i < sources.size(); ++i) {
    if (!sources[i].tensor) {
      EDGELLM_RETURN_IF_ERROR(writer.write(std::as_bytes(std::span(rope_factors))));
      continue;
    }
    EDGELLM_RETURN_IF_ERROR(
        stream_rows(job_for(sources[i], model, declarations[i].type), threads,
                    [&](std::span<const std::byte> bytes) { return writer.write(bytes); }));
    folder.give_back(*sources[i].tensor);
    meter.add(double(sources[i].tensor->n_values()), declarations[i].name);
  }
  EDGELLM_RETURN_IF_ERROR(writer.commit());
  meter.finish();
  return ConvertReport{std::string(architecture->name), sources.size(), n_bytes};
}

}  // namespace edgellm
