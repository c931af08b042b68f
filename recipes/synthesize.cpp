#include "recipes/synthesize.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/output_file.h"
#include "core/base/output_folder.h"
#include "core/model_file/safetensors.h"
#include "core/text/resized_vocabulary.h"
#include "core/text/tokenizer.h"
#include "recipes/convert_config.h"
#include "recipes/convert_rows.h"
#include "recipes/random_weights.h"
#include "recipes/tokenizer_source.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

// Beyond the weights: tokenizer.json of a large vocabulary, headers, the file system's own.
constexpr uint64_t kRoomForTheRest = 64 << 20;

struct Target {
  const TensorRule* rule;
  uint32_t layer;
  std::string name;  // in the folder
  std::vector<uint64_t> dimensions;
  uint64_t n_rows() const { return dimensions.size() > 1 ? dimensions[1] : 1; }
  uint64_t n_values() const { return dimensions[0] * n_rows(); }
};

bool is_part_of(const ModelShape& shape, const TensorRule& rule) {
  using enum TensorRole;
  if (rule.hf_name.empty()) return false;
  if (rule.role == output) return !shape.tied_embedding;
  bool is_bias =
      rule.role == attention_q_bias || rule.role == attention_k_bias || rule.role == attention_v_bias;
  return is_bias ? shape.attention_biases : rule.required;
}

// In the order of a checkpoint: the embedding, the layers, the last norm, the output matrix.
std::vector<Target> list_targets(const ModelShape& shape, const Hyperparameters& h) {
  std::vector<Target> targets;
  auto add = [&](const TensorRule& rule, uint32_t layer) {
    targets.push_back(
        {&rule, layer, tensor_name(rule.hf_name, layer), tensor_dimensions(h, rule.role, layer)});
  };
  auto add_outside = [&](bool before_layers) {
    for (const TensorRule& rule : h.architecture->tensors)
      if (is_part_of(shape, rule) && !rule.gguf_name.starts_with("blk.") &&
          (rule.role == TensorRole::token_embedding) == before_layers)
        add(rule, 0);
  };
  add_outside(true);
  for (uint32_t layer = 0; layer < h.n_layers; ++layer)
    for (const TensorRule& rule : h.architecture->tensors)
      if (is_part_of(shape, rule) && rule.gguf_name.starts_with("blk.")) add(rule, layer);
  add_outside(false);
  return targets;
}

std::string name_of(const SynthesizeOptions& o) {
  std::string name = fmt::format("{}-synthetic", o.shape.name);
  if (o.n_layers) name += fmt::format("-{}-layers", o.n_layers);
  return name;
}

Result<ordered_json> make_config(const SynthesizeOptions& o, const Metadata& metadata,
                                 const Hyperparameters& h) {
  ConfigExtras extras;
  extras.tied_embedding = o.shape.tied_embedding;
  extras.dtype = o.type == TensorType::F16 ? "float16" : "bfloat16";
  EDGELLM_ASSIGN_OR_RETURN(ordered_json config, config_from_metadata(metadata, h, extras));
  config["architectures"] = {o.shape.hf_class};
  config["model_type"] = o.shape.hf_model_type;
  if (o.shape.hf_model_type == "mistral") config["sliding_window"] = nullptr;
  config["edgellm_synthetic"] = {{"like", o.shape.name},
                                 {"layers_of_the_original", o.shape.n_layers},
                                 {"seed", o.seed},
                                 {"note", "random weights, for measuring time, memory and disk only"}};
  return config;
}

std::string model_card(const SynthesizeOptions& o) {
  std::string layers;
  if (o.n_layers) layers = fmt::format(", but with {} of its {} layers", o.n_layers, o.shape.n_layers);
  return fmt::format(
      "---\ntags:\n- random-weights\n---\n# {}\n\nRandom weights in the shape of {}{}, written by edgellm "
      "synthesize with seed {}, for measuring time, memory and disk. It says nothing of any use.\n",
      name_of(o), o.shape.name, layers, o.seed);
}

Status write_small_files(const SynthesizeOptions& o, const Metadata& metadata, const Hyperparameters& h,
                         const fs::path& folder) {
  EDGELLM_ASSIGN_OR_RETURN(ordered_json config, make_config(o, metadata, h));
  EDGELLM_RETURN_IF_ERROR(write_hf_tokenizer(metadata, folder));
  EDGELLM_RETURN_IF_ERROR(write_text_file(folder / "config.json", config.dump(2) + "\n"));
  ordered_json generation = {{"_from_model_config", true}};
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"})
    if (config.contains(key)) generation[key] = config[key];
  EDGELLM_RETURN_IF_ERROR(write_text_file(folder / "generation_config.json", generation.dump(2) + "\n"));
  return write_text_file(folder / "README.md", model_card(o));
}

Status write_weights(const SynthesizeOptions& o, const RandomModel& model, const std::vector<Target>& targets,
                     const fs::path& folder, const Progress& progress) {
  std::vector<SafetensorsWriter::Declaration> declarations;
  double n_values = 0;
  for (const Target& target : targets) {
    std::vector<uint64_t> shape(target.dimensions.rbegin(), target.dimensions.rend());
    declarations.push_back(
        {target.name, o.type == TensorType::F16 ? SafetensorsType::F16 : SafetensorsType::BF16, shape});
    n_values += double(target.n_values());
  }
  EDGELLM_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                           SafetensorsWriter::create(folder, declarations, o.most_shard_bytes));
  ThreadPool threads(o.n_threads);
  ProgressMeter meter(progress, "writing random weights", n_values);
  for (const Target& target : targets) {
    RandomTensor tensor(model, target.rule->role, target.layer, target.name);
    RowJob job;
    job.name = target.name;
    job.n_columns = target.dimensions[0];
    job.n_rows = target.n_rows();
    job.type = o.type;
    job.read = [&](size_t row, float* values) { tensor.row(row, values); };
    EDGELLM_RETURN_IF_ERROR(stream_rows(job, threads, [&](std::span<const std::byte> bytes) {
      meter.add(double(bytes.size()) / double(*row_bytes(o.type, 1)), target.name);
      return writer.write(bytes);
    }));
  }
  EDGELLM_RETURN_IF_ERROR(writer.commit());
  meter.finish();
  return {};
}

}  // namespace

Result<SynthesizeReport> synthesize(const SynthesizeOptions& options, const Progress& progress) {
  SynthesizeOptions o = options;
  if (o.n_layers > o.shape.n_layers)
    return Error{
        fmt::format("cannot write {} layers of {}: it has {}", o.n_layers, o.shape.name, o.shape.n_layers)};
  if (o.n_layers == o.shape.n_layers) o.n_layers = 0;
  ModelShape shape = o.shape;
  if (o.n_layers) shape.n_layers = o.n_layers;

  SynthesizeReport report;
  report.tokenizer = o.tokenizer;
  if (o.tokenizer.empty()) {
    EDGELLM_ASSIGN_OR_RETURN(report.tokenizer, find_tokenizer(default_models_folder(), shape.n_vocabulary));
  }
  EDGELLM_ASSIGN_OR_RETURN(Metadata source, read_tokenizer(report.tokenizer));
  EDGELLM_ASSIGN_OR_RETURN(report.n_source_tokens, n_used_tokens(source));
  EDGELLM_ASSIGN_OR_RETURN(Metadata tokenizer, resize_vocabulary(source, shape.n_vocabulary));
  EDGELLM_ASSIGN_OR_RETURN(report.n_tokens, n_used_tokens(tokenizer));

  Metadata metadata = shape_metadata(shape);
  metadata.set("general.name", MetadataValue::of_string(name_of(o)));
  for (const auto& [key, value] : tokenizer.entries()) metadata.set(key, value);
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(metadata));
  std::vector<Target> targets = list_targets(shape, h);
  for (const Target& target : targets) report.n_parameters += target.n_values();
  report.n_tensors = targets.size();
  report.n_bytes = report.n_parameters * *row_bytes(o.type, 1);

  EDGELLM_ASSIGN_OR_RETURN(OutputFolder folder, OutputFolder::create(o.output));
  EDGELLM_RETURN_IF_ERROR(check_free_space(o.output, report.n_bytes + kRoomForTheRest));
  EDGELLM_RETURN_IF_ERROR(write_small_files(o, metadata, h, folder.temporary()));
  EDGELLM_RETURN_IF_ERROR(write_weights(o, {h, shape.tied_embedding, report.n_tokens, o.seed}, targets,
                                        folder.temporary(), progress));
  EDGELLM_RETURN_IF_ERROR(folder.commit());
  return report;
}

}  // namespace edgellm
