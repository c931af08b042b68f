#include "recipes/edited_model.h"

#include <algorithm>
#include <fmt/format.h>

#include "core/arch/architecture.h"
#include "core/base/interrupt.h"
#include "recipes/model_shape.h"
#include "recipes/pruned_weights.h"
#include "recipes/quantize.h"

namespace edgellm {
namespace {

constexpr std::string_view kUnevenArchitecture = "deci";

bool is_rotated(TensorRole role) {
  return role == TensorRole::attention_q || role == TensorRole::attention_k ||
         role == TensorRole::attention_q_bias || role == TensorRole::attention_k_bias;
}

// Rows of each head from (i, i + half) pairs to (2i, 2i + 1). A bias has rows of one value.
std::vector<std::byte> interleaved_heads(std::span<const std::byte> bytes, size_t n_rows, size_t head_width) {
  std::vector<std::byte> result(bytes.size());
  size_t n_row_bytes = bytes.size() / n_rows, half = head_width / 2;
  for (size_t row = 0; row < n_rows; ++row) {
    size_t head = row / head_width * head_width, i = row % head_width;
    size_t from = head + i / 2 + (i % 2 ? half : 0);
    std::copy_n(bytes.data() + from * n_row_bytes, n_row_bytes, result.data() + row * n_row_bytes);
  }
  return result;
}

class EditedFile {
 public:
  static Result<EditedFile> make(const GgufFile& source, const ModelEdit& edit) {
    EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(source.metadata()));
    EditedFile result(edit, std::move(h));
    QuantizationPlan plan;
    plan.dropped_layers = edit.dropped_layers;
    plan.file_type = uint32_t(source.metadata().integer_or("general.file_type", 0));
    EDGELLM_ASSIGN_OR_RETURN(result.file, planned_file(source, plan));
    result.replace_tensors();
    if (edit.n_pruned_weights) tell_pruned_weights(edit.n_pruned_weights, result.file.metadata);
    EDGELLM_RETURN_IF_ERROR(result.set_shapes());
    return result;
  }

  PlannedFile file;

  // Writes the tensor at place i of the file.
  Status write(size_t i, GgufWriter& writer) const {
    const GgufTensor& tensor = *file.sources[i];
    auto edited = edit_->tensors.find(tensor.name);
    std::span<const std::byte> data = edited == edit_->tensors.end() ? tensor.data : edited->second.data;
    if (!turns_pairs_ || !is_rotated(role_of(tensor))) return writer.write(data);
    size_t n_rows = tensor.dimensions.size() == 1 ? tensor.n_columns() : tensor.n_rows();
    return writer.write(interleaved_heads(data, n_rows, h_.head_width_k));
  }

 private:
  EditedFile(const ModelEdit& edit, Hyperparameters h) : edit_(&edit), h_(std::move(h)) {}

  TensorRole role_of(const GgufTensor& tensor) const {
    ParsedTensorName parsed = parse_tensor_name(*h_.architecture, tensor.name);
    return parsed.rule ? parsed.rule->role : TensorRole::token_embedding;
  }

  void replace_tensors() {
    PlannedFile kept;
    kept.metadata = std::move(file.metadata);
    for (size_t i = 0; i < file.tensors.size(); ++i) {
      const GgufTensor& tensor = *file.sources[i];
      ParsedTensorName parsed = parse_tensor_name(*h_.architecture, tensor.name);
      if (parsed.rule && parsed.layer >= 0 && edit_->dropped_attention.contains(uint32_t(parsed.layer)) &&
          is_of_attention(parsed.rule->role))
        continue;
      GgufWriter::Declaration declaration = file.tensors[i];
      if (auto edited = edit_->tensors.find(tensor.name); edited != edit_->tensors.end()) {
        declaration.type = edited->second.type;
        declaration.dimensions = edited->second.dimensions;
      }
      kept.tensors.push_back(std::move(declaration));
      kept.sources.push_back(&tensor);
    }
    file = std::move(kept);
  }

  Status set_shapes() {
    std::vector<uint32_t> n_heads, n_kv_heads, n_feed_forward;
    for (uint32_t layer = 0; layer < h_.n_layers; ++layer) {
      if (edit_->dropped_layers.contains(layer)) continue;
      bool attention = !edit_->dropped_attention.contains(layer);
      n_heads.push_back(attention ? h_.n_heads[layer] : 0);
      n_kv_heads.push_back(attention ? h_.n_kv_heads[layer] : 0);
      n_feed_forward.push_back(
          (edit_->n_feed_forward.empty() ? h_.n_feed_forward : edit_->n_feed_forward)[layer]);
    }
    auto is_even = [](const std::vector<uint32_t>& n) {
      return std::adjacent_find(n.begin(), n.end(), std::not_equal_to<>()) == n.end();
    };
    if (!n_heads[0]) return Error{"the first layer that stays needs its attention"};
    if (edit_->dropped_attention.empty() && edit_->n_feed_forward.empty()) return {};
    if (is_even(n_heads) && is_even(n_feed_forward)) {
      file.metadata.set(std::string(h_.architecture->name) + ".feed_forward_length",
                        MetadataValue::of_uint32(n_feed_forward[0]));
      return {};
    }
    EDGELLM_RETURN_IF_ERROR(become_uneven());
    auto set = [&](const char* key, const std::vector<uint32_t>& values) {
      file.metadata.set(fmt::format("{}.{}", kUnevenArchitecture, key), MetadataValue::of_uint32s(values));
    };
    set("attention.head_count", n_heads);
    set("attention.head_count_kv", n_kv_heads);
    set("feed_forward_length", n_feed_forward);
    return {};
  }

  Status become_uneven() {
    const std::string old = std::string(h_.architecture->name) + ".";
    if (h_.architecture->name != "llama" && h_.architecture->name != "qwen2" &&
        h_.architecture->name != kUnevenArchitecture)
      return Error{
          fmt::format("layers of different shape: stock llama.cpp reads them for llama and qwen2 (as its {}) "
                      "only, not for {}",
                      kUnevenArchitecture, h_.architecture->name)};
    turns_pairs_ = h_.architecture->rope == RopeKind::halves;
    if (turns_pairs_ && h_.n_rotated != h_.head_width_k)
      return Error{fmt::format("layers of different shape: {} of {} values of a head are rotated, wanted all",
                               h_.n_rotated, h_.head_width_k)};
    Metadata renamed;
    for (const auto& [key, value] : file.metadata.entries()) {
      bool own = key.starts_with(old);
      renamed.set(own ? fmt::format("{}.{}", kUnevenArchitecture, key.substr(old.size())) : key, value);
    }
    renamed.set("general.architecture", MetadataValue::of_string(std::string(kUnevenArchitecture)));
    file.metadata = std::move(renamed);
    return {};
  }

  const ModelEdit* edit_;
  Hyperparameters h_;
  bool turns_pairs_ = false;
};

}  // namespace

Result<uint64_t> edited_file_bytes(const GgufFile& source, const ModelEdit& edit) {
  EDGELLM_ASSIGN_OR_RETURN(EditedFile edited, EditedFile::make(source, edit));
  return GgufWriter::file_bytes(edited.file.metadata, edited.file.tensors);
}

Status write_edited_model(const GgufFile& source, const ModelEdit& edit, const std::filesystem::path& output,
                          const Progress& progress) {
  EDGELLM_RETURN_IF_ERROR(check_is_no_input(output, source.paths()));
  EDGELLM_ASSIGN_OR_RETURN(EditedFile edited, EditedFile::make(source, edit));
  EDGELLM_ASSIGN_OR_RETURN(GgufWriter writer,
                           GgufWriter::create(output, edited.file.metadata, edited.file.tensors));
  ProgressMeter meter(progress, "writing", double(edited.file.tensors.size()));
  for (size_t i = 0; i < edited.file.tensors.size(); ++i) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    EDGELLM_RETURN_IF_ERROR(edited.write(i, writer));
    source.give_back(*edited.file.sources[i]);
    meter.add(1, edited.file.tensors[i].name);
  }
  meter.finish();
  return writer.commit();
}

}  // namespace edgellm
