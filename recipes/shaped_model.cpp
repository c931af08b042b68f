#include "recipes/shaped_model.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

#include "core/base/interrupt.h"
#include "recipes/role_tensor.h"
#include "recipes/tensor_encoding.h"

namespace edgellm {
namespace {

Result<EditedTensor> narrowed_columns(const GgufTensor& tensor, const std::vector<uint32_t>& kept,
                                      EditStore& store) {
  const size_t n_rows = tensor.n_rows();
  std::vector<float> row(tensor.n_columns()), values;
  values.reserve(n_rows * kept.size());
  for (size_t r = 0; r < n_rows; ++r) {
    decode_rows(tensor, r, 1, row.data());
    for (uint32_t channel : kept) values.push_back(row[channel]);
  }
  return store.encode(tensor.name, values, kept.size(), tensor.type);
}

// Rows of a matrix, values of a bias.
Result<EditedTensor> narrowed_rows(const GgufTensor& tensor, const std::vector<uint32_t>& kept,
                                   EditStore& store) {
  const size_t n_bytes = tensor.data.size() / tensor.dimensions.back();
  std::vector<std::byte> bytes;
  bytes.reserve(n_bytes * kept.size());
  for (uint32_t channel : kept) {
    auto of_channel = tensor.data.subspan(channel * n_bytes, n_bytes);
    bytes.insert(bytes.end(), of_channel.begin(), of_channel.end());
  }
  std::vector<uint64_t> dimensions = tensor.dimensions;
  dimensions.back() = kept.size();
  return store.keep(tensor.name, bytes, tensor.type, std::move(dimensions));
}

Result<EditedTensor> zeros(const GgufTensor& tensor, const std::vector<uint64_t>& dimensions,
                           EditStore& store) {
  size_t n_values = 1;
  for (uint64_t d : dimensions) n_values *= d;
  EDGELLM_ASSIGN_OR_RETURN(EditedTensor edited,
                           store.encode(tensor.name, std::vector<float>(n_values), size_t(dimensions[0]),
                                        dimensions.size() == 1 ? TensorType::F32 : TensorType::F16));
  edited.dimensions = dimensions;
  return edited;
}

}  // namespace

std::vector<uint32_t> strongest_channels(const GgufTensor& down, const ImportanceMatrix& importance,
                                         size_t n) {
  const size_t n_channels = down.n_columns();
  std::vector<double> strength(n_channels);
  std::vector<float> row(n_channels);
  for (size_t r = 0; r < down.n_rows(); ++r) {
    decode_rows(down, r, 1, row.data());
    for (size_t c = 0; c < n_channels; ++c) strength[c] += double(row[c]) * double(row[c]);
  }
  const std::vector<float> activity = importance.weights(down.name, n_channels);
  for (size_t c = 0; c < activity.size(); ++c) strength[c] *= double(activity[c]);
  std::vector<uint32_t> order(n_channels);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return strength[a] > strength[b]; });
  order.resize(std::min(n, n_channels));
  std::sort(order.begin(), order.end());
  return order;
}

Result<KeptChannels> kept_channels(const GgufFile& source, const ModelShape& shape,
                                   const ImportanceMatrix& importance) {
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(source.metadata()));
  KeptChannels kept;
  for (auto [layer, n_channels] : shape.n_feed_forward) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    const GgufTensor* down = find_tensor(source, h, TensorRole::ffn_down, layer);
    if (!down) return Error{fmt::format("layer {} has no feed-forward part to make narrower", layer)};
    kept[layer] = strongest_channels(*down, importance, n_channels);
    source.give_back(*down);
  }
  return kept;
}

Result<ModelEdit> shape_edit(const GgufFile& source, const ModelShape& shape, const KeptChannels& channels,
                             EditStore& store) {
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(source.metadata()));
  ModelEdit edit;
  edit.dropped_layers = shape.dropped_layers;
  edit.dropped_attention = shape.dropped_attention;
  Hyperparameters narrow = h;
  for (uint32_t layer : shape.dropped_ffn) narrow.n_feed_forward[layer] = kChannelsOfNone;
  for (auto [layer, n_channels] : shape.n_feed_forward) narrow.n_feed_forward[layer] = n_channels;
  if (narrow.n_feed_forward == h.n_feed_forward) return edit;
  edit.n_feed_forward = narrow.n_feed_forward;
  for (const GgufTensor& tensor : source.tensors()) {
    ParsedTensorName parsed = parse_tensor_name(*h.architecture, tensor.name);
    if (!parsed.rule || parsed.layer < 0 || !is_of_feed_forward(parsed.rule->role)) continue;
    const auto layer = uint32_t(parsed.layer);
    const TensorRole role = parsed.rule->role;
    if (shape.dropped_ffn.contains(layer)) {
      const std::vector<uint64_t> dimensions = tensor_dimensions(narrow, role, layer);
      // Its bias would be added even by channels of zeros.
      if (dimensions == tensor.dimensions && role != TensorRole::ffn_down_bias) continue;
      EDGELLM_ASSIGN_OR_RETURN(edit.tensors[tensor.name], zeros(tensor, dimensions, store));
    } else if (auto kept = channels.find(layer); kept != channels.end()) {
      if (tensor_dimensions(narrow, role, layer) == tensor.dimensions) continue;
      auto narrowed = role == TensorRole::ffn_down ? narrowed_columns(tensor, kept->second, store)
                                                   : narrowed_rows(tensor, kept->second, store);
      if (!narrowed.ok()) return narrowed.error();
      edit.tensors[tensor.name] = std::move(*narrowed);
      source.give_back(tensor);
    }
  }
  return edit;
}

std::vector<uint32_t> layers_left(const ModelShape& shape, uint32_t n_layers) {
  std::vector<uint32_t> layers;
  for (uint32_t layer = 0; layer < n_layers; ++layer)
    if (!shape.dropped_layers.contains(layer)) layers.push_back(layer);
  return layers;
}

std::string source_name(const Architecture& architecture, const std::string& name,
                        const std::vector<uint32_t>& layers) {
  const ParsedTensorName parsed = parse_tensor_name(architecture, name);
  if (!parsed.rule || parsed.layer < 0 || size_t(parsed.layer) >= layers.size()) return name;
  return tensor_name(parsed.rule->gguf_name, layers[size_t(parsed.layer)]);
}

ImportanceMatrix shaped_importance(const ImportanceMatrix& importance, const GgufFile& shaped,
                                   const std::vector<uint32_t>& layers, const KeptChannels& channels) {
  ImportanceMatrix result = importance;
  std::erase_if(result.entries, [](const auto& entry) { return entry.first.starts_with("blk."); });
  auto h = read_hyperparameters(shaped.metadata());
  for (const GgufTensor& tensor : shaped.tensors()) {
    const ParsedTensorName parsed = parse_tensor_name(*h->architecture, tensor.name);
    auto entry = importance.entries.find(source_name(*h->architecture, tensor.name, layers));
    if (entry == importance.entries.end()) continue;
    ImportanceEntry own = entry->second;
    if (parsed.rule && parsed.rule->role == TensorRole::ffn_down && parsed.layer >= 0)
      if (auto kept = channels.find(layers[size_t(parsed.layer)]); kept != channels.end()) {
        own.sums.clear();
        for (uint32_t channel : kept->second) own.sums.push_back(entry->second.sums[channel]);
      }
    if (own.sums.size() == tensor.n_columns()) result.entries[tensor.name] = std::move(own);
  }
  return result;
}

Result<std::vector<TensorCandidates>> shaped_candidates(const std::vector<TensorCandidates>& of_source,
                                                        const GgufFile& shaped, const ModelShape& shape,
                                                        const std::vector<uint32_t>& layers,
                                                        const Hyperparameters& source, Codebooks codebooks) {
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(shaped.metadata()));
  EDGELLM_ASSIGN_OR_RETURN(std::vector<TensorCandidates> all, list_candidates(shaped, codebooks));
  std::vector<TensorCandidates> kept;
  for (TensorCandidates& c : all) {
    const int32_t layer = c.layer < 0 ? -1 : int32_t(layers[size_t(c.layer)]);
    if (shape.leaves_out(c.role, layer)) continue;
    const std::string name = source_name(*h.architecture, c.tensor->name, layers);
    auto known = std::find_if(of_source.begin(), of_source.end(),
                              [&](const TensorCandidates& one) { return one.tensor->name == name; });
    if (known == of_source.end()) continue;
    for (size_t i = 0; i < c.types.size(); ++i) {
      auto same = std::find(known->types.begin(), known->types.end(), c.types[i]);
      c.relative_error[i] =
          same == known->types.end() ? 0 : known->relative_error[size_t(same - known->types.begin())];
    }
    if (known->probe != c.probe)
      return Error{fmt::format("tensor {} would be probed in another type once it is narrower", name)};
    c.probe_kl = known->probe_kl * shape.share_left(c.role, layer, source);
    kept.push_back(std::move(c));
  }
  return kept;
}

}  // namespace edgellm
