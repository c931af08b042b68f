#include "runtime/graph/encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

#include "core/base/interrupt.h"
#include "runtime/backends/cpu/cpu_backend.h"

namespace edgellm {
namespace {

// Tokens computed together, unless one sequence alone has more: enough to make the products' unpacking of
// weights cheap, few enough for the second cache.
constexpr size_t kTokensPerBatch = 512;
// Products may compute this many rows whatever they are asked for.
constexpr size_t kLeastRows = CpuBackend::kManyTokens;

// Not a power of two, so that the rows of a head do not compete for the same cache lines.
size_t qkv_stride(const TextEncoderHyperparameters& model) {
  return 3 * size_t(model.n_hidden) + 16;
}

// Weights that are there, but not as safetensors.
Status check_for_pytorch_weights(const std::filesystem::path& folder) {
  std::error_code code;
  auto has = [&](const char* name) { return std::filesystem::exists(folder / name, code); };
  if (has("model.safetensors") || has("model.safetensors.index.json")) return {};
  for (const char* name : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (!has(name)) continue;
    return Error{fmt::format(
        "cannot read encoder folder {}: it has {} but no model.safetensors; convert it with python3 -c "
        "\"from "
        "transformers import AutoModel; AutoModel.from_pretrained('{}').save_pretrained('{}-safetensors')\"",
        folder.string(), name, folder.string(), folder.string())};
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<TextEncoder>> Encoder::load(const std::filesystem::path& folder,
                                                   EncoderOptions options) {
  return load(folder, std::make_unique<CpuBackend>(options.n_threads, kernels(), /*batch_invariant=*/true));
}

Result<std::unique_ptr<TextEncoder>> Encoder::load(const std::filesystem::path& path,
                                                   std::unique_ptr<Backend> backend) {
  EDGELLM_RETURN_IF_ERROR(check_for_pytorch_weights(path));
  EDGELLM_ASSIGN_OR_RETURN(HfFolder folder, HfFolder::open(path));
  auto in_folder = [&](const Error& error) {
    return Error{fmt::format("cannot read encoder folder {}: {}", path.string(), error.message)};
  };
  auto found = find_text_encoder(folder.config(),
                                 [&](const std::string& name) { return folder.find(name) != nullptr; });
  if (!found) return in_folder(found.error());
  auto model = read_text_encoder_hyperparameters(folder.config(), *found->architecture);
  if (!model) return in_folder(model.error());
  auto weights = bind_encoder_weights(folder, *found, *model);
  if (!weights) return in_folder(weights.error());
  return std::unique_ptr<TextEncoder>(
      new Encoder(std::move(folder), *model, std::move(*weights), std::move(backend)));
}

Encoder::Encoder(HfFolder folder, TextEncoderHyperparameters model, EncoderWeights weights,
                 std::unique_ptr<Backend> backend)
    : folder_(std::move(folder)), model_(model), weights_(std::move(weights)), backend_(std::move(backend)) {}

Status Encoder::check(std::span<const TextEncoderInput> sequences, size_t layer) const {
  if (layer > model_.n_layers)
    return Error{fmt::format("cannot encode up to layer {}: the encoder has {}", layer, model_.n_layers)};
  for (size_t s = 0; s < sequences.size(); ++s) {
    const auto& [ids, segments] = sequences[s];
    auto wrong = [&](std::string what) {
      return Error{fmt::format("cannot encode sequence {}: {}", s, what)};
    };
    if (ids.empty()) return wrong("it has no tokens");
    if (ids.size() > most_tokens())
      return wrong(fmt::format("it has {} tokens, the encoder takes {}", ids.size(), most_tokens()));
    for (int32_t id : ids)
      if (id < 0 || uint32_t(id) >= model_.n_vocabulary)
        return wrong(fmt::format("token {} is outside the vocabulary of {}", id, model_.n_vocabulary));
    if (!segments.empty() && segments.size() != ids.size())
      return wrong(fmt::format("it has {} segment numbers for {} tokens", segments.size(), ids.size()));
    for (int32_t segment : segments)
      if (segment < 0 || uint32_t(segment) >= model_.n_segments)
        return wrong(fmt::format("segment {} is outside the encoder's {}", segment, model_.n_segments));
  }
  return {};
}

Status Encoder::reserve(size_t n_tokens, size_t most_tokens_of_one) {
  if (n_tokens > n_rows_) {
    const size_t n_rows = std::max(n_tokens, kLeastRows),
                 n_wide = std::max(model_.n_hidden, model_.n_embedding);
    struct Part {
      float** place;
      size_t n_columns;
    };
    const Part parts[] = {{&hidden_, model_.n_hidden},
                          {&attention_, n_wide},
                          {&sum_, n_wide},
                          {&qkv_, qkv_stride(model_)},
                          {&ffn_, model_.n_feed_forward}};
    size_t n_bytes = 0;
    for (const Part& part : parts) n_bytes += AlignedBuffer::rounded(n_rows * part.n_columns * sizeof(float));
    n_rows_ = 0;
    buffer_ = AlignedBuffer(n_bytes);
    if (!buffer_.data())
      return Error{fmt::format("there is no memory for the {} bytes of an encoder's batch", n_bytes)};
    std::byte* at = buffer_.data();
    for (const Part& part : parts) {
      *part.place = reinterpret_cast<float*>(at);
      at += AlignedBuffer::rounded(n_rows * part.n_columns * sizeof(float));
    }
    n_rows_ = n_rows;
    auto reserve_product = [&](const Matrix& matrix) {
      if (matrix.data) backend_->reserve_product(matrix.type, matrix.n_columns, n_rows);
    };
    reserve_product(weights_.embedding_projection);
    for (const EncoderLayer& layer : weights_.layers)
      for (const Matrix* matrix :
           {&layer.q, &layer.k, &layer.v, &layer.attention_output, &layer.ffn_up, &layer.ffn_down})
        reserve_product(*matrix);
  }
  if (most_tokens_of_one > most_tokens_of_one_) {
    backend_->reserve_sequences(most_tokens_of_one, model_.head_width());
    most_tokens_of_one_ = most_tokens_of_one;
  }
  return {};
}

Status Encoder::encode(std::span<const TextEncoderInput> sequences, size_t layer, std::vector<float>& out) {
  EDGELLM_RETURN_IF_ERROR(check(sequences, layer));
  size_t n_all = 0, n_longest = 0;
  for (const TextEncoderInput& sequence : sequences) {
    n_all += sequence.ids.size();
    n_longest = std::max(n_longest, sequence.ids.size());
  }
  EDGELLM_RETURN_IF_ERROR(reserve(std::min(n_all, std::max(n_longest, kTokensPerBatch)), n_longest));
  out.resize(n_all * model_.n_hidden);
  float* to = out.data();
  for (size_t begin = 0, end; begin < sequences.size(); begin = end) {
    size_t n_tokens = sequences[begin].ids.size();
    for (end = begin + 1; end < sequences.size(); ++end) {
      if (n_tokens + sequences[end].ids.size() > kTokensPerBatch) break;
      n_tokens += sequences[end].ids.size();
    }
    EDGELLM_RETURN_IF_ERROR(encode_batch(sequences.subspan(begin, end - begin), layer, to));
    to += n_tokens * model_.n_hidden;
  }
  return {};
}

Status Encoder::encode_batch(std::span<const TextEncoderInput> sequences, size_t layer, float* out) {
  embed(sequences);
  for (size_t i = 0; i < layer; ++i) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    run_layer(weights_.layers[i]);
  }
  std::memcpy(out, hidden_, n_tokens_ * model_.n_hidden * sizeof(float));
  return {};
}

void Encoder::embed(std::span<const TextEncoderInput> sequences) {
  tokens_.clear();
  positions_.clear();
  segments_.clear();
  first_tokens_.assign(1, 0);
  for (const auto& [ids, segments] : sequences) {
    auto position = Token(model_.first_position);
    for (int32_t id : ids) positions_.push_back(id == model_.padding_id ? model_.padding_id : position++);
    tokens_.insert(tokens_.end(), ids.begin(), ids.end());
    segments_.insert(segments_.end(), segments.begin(), segments.end());
    segments_.resize(tokens_.size(), 0);
    first_tokens_.push_back(tokens_.size());
  }
  n_tokens_ = tokens_.size();
  const size_t width = model_.n_embedding;
  float* sum = weights_.embedding_projection.data ? sum_ : hidden_;
  backend_->rows(weights_.word_embedding, tokens_, 1.0f, sum);
  backend_->rows(weights_.segment_embedding, segments_, 1.0f, attention_);
  backend_->add(attention_, sum, n_tokens_ * width);
  backend_->rows(weights_.position_embedding, positions_, 1.0f, attention_);
  backend_->add_layer_norm(attention_, weights_.embedding_norm.data(), weights_.embedding_norm_bias.data(),
                           model_.norm_epsilon, sum, n_tokens_, width);
  if (weights_.embedding_projection.data)
    product(sum, width, weights_.embedding_projection, weights_.embedding_projection_bias, hidden_);
}

void Encoder::product(const float* x, size_t n_columns, const Matrix& weights, const std::vector<float>& bias,
                      float* y, PointwiseActivation activation) {
  ProductTask task{&weights, bias.data(), y, weights.n_rows, activation};
  backend_->products(x, n_tokens_, n_columns, {&task, 1});
}

void Encoder::run_layer(const EncoderLayer& layer) {
  const size_t n_hidden = model_.n_hidden, stride = qkv_stride(model_);
  float *q = qkv_, *k = q + n_hidden, *v = k + n_hidden;
  const ProductTask tasks[] = {{&layer.q, layer.q_bias.data(), q, stride},
                               {&layer.k, layer.k_bias.data(), k, stride},
                               {&layer.v, layer.v_bias.data(), v, stride}};
  backend_->products(hidden_, n_tokens_, n_hidden, tasks);
  backend_->attention_of_sequences({.q = q,
                                    .k = k,
                                    .v = v,
                                    .stride = stride,
                                    .first_tokens = first_tokens_,
                                    .n_heads = model_.n_heads,
                                    .head_width = model_.head_width(),
                                    .scale = 1.0f / std::sqrt(float(model_.head_width())),
                                    .output = attention_});
  product(attention_, n_hidden, layer.attention_output, layer.attention_output_bias, sum_);
  backend_->add_layer_norm(sum_, layer.attention_norm.data(), layer.attention_norm_bias.data(),
                           model_.norm_epsilon, hidden_, n_tokens_, n_hidden);
  product(hidden_, n_hidden, layer.ffn_up, layer.ffn_up_bias, ffn_, model_.activation);
  product(ffn_, model_.n_feed_forward, layer.ffn_down, layer.ffn_down_bias, sum_);
  backend_->add_layer_norm(sum_, layer.ffn_norm.data(), layer.ffn_norm_bias.data(), model_.norm_epsilon,
                           hidden_, n_tokens_, n_hidden);
}

}  // namespace edgellm
