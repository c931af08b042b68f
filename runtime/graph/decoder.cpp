#include "runtime/graph/decoder.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <fmt/format.h>

#include "core/base/interrupt.h"
#include "core/base/mapped_file.h"
#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/kernels/kernels.h"

namespace edgellm {

Result<std::unique_ptr<Decoder>> Decoder::load(std::shared_ptr<const GgufFile> file,
                                               const DecoderOptions& options) {
  EDGELLM_RETURN_IF_ERROR(kernels_status());
  EDGELLM_ASSIGN_OR_RETURN(Hyperparameters h, read_hyperparameters(file->metadata()));
  EDGELLM_ASSIGN_OR_RETURN(DecoderWeights weights, bind_decoder_weights(*file, h));
  std::unique_ptr<Decoder> decoder(new Decoder(std::move(file), std::move(h), std::move(weights), options));
  if (!decoder->buffers_.memory.data())
    return Error{
        fmt::format("load model: no memory for {} bytes of buffers (batch of {} tokens)",
                    GraphBuffers::n_bytes(decoder->hyperparameters_, options.n_batch, options.n_logit_rows),
                    options.n_batch)};
  decoder->reserve();
  return decoder;
}

namespace {

// A product of the way of many tokens has room for as many rows.
DecoderOptions with_room_for_many(DecoderOptions options) {
  if (!options.batch_invariant) return options;
  options.n_batch = std::max(options.n_batch, CpuBackend::kManyTokens);
  options.n_logit_rows = std::max(options.n_logit_rows, CpuBackend::kManyTokens);
  return options;
}

}  // namespace

Decoder::Decoder(std::shared_ptr<const GgufFile> file, Hyperparameters h, DecoderWeights weights,
                 const DecoderOptions& options)
    : file_(std::move(file)),
      hyperparameters_(std::move(h)),
      options_(with_room_for_many(options)),
      backend_(std::make_unique<CpuBackend>(options.n_threads, kernels(), options.batch_invariant)),
      weights_(std::move(weights)),
      buffers_(hyperparameters_, options_.n_batch, options_.n_logit_rows),
      rope_(hyperparameters_, weights_.rope_factors, false),
      local_rope_(hyperparameters_, {}, true),
      attention_dropped_(hyperparameters_.n_layers),
      ffn_dropped_(hyperparameters_.n_layers) {}

void Decoder::reserve() {
  const Hyperparameters& h = hyperparameters_;
  segments_.reserve(options_.n_batch);
  step_tokens_.reserve(options_.n_batch);
  for (uint32_t i = 0; i < h.n_layers; ++i) {
    const LayerWeights& l = weights_.layers[i];
    for (const Matrix* m : {&l.q, &l.k, &l.v, &l.attention_output, &l.gate, &l.up, &l.down})
      if (m->data) backend_->reserve_product(m->type, m->n_columns, options_.n_batch);
    if (h.n_heads[i])
      backend_->reserve_attention(h.n_heads[i] / h.n_kv_heads[i], h.head_width_k, h.head_width_v);
  }
  backend_->reserve_product(weights_.head().type, h.n_embedding, options_.n_logit_rows);
}

Status Decoder::check_token(Token token, size_t position) const {
  if (token >= 0 && uint64_t(token) < hyperparameters_.n_vocabulary) return {};
  return Error{fmt::format("evaluate: token {} at position {} is outside the vocabulary of {}", token,
                           position, hyperparameters_.n_vocabulary)};
}

Status Decoder::evaluate(std::span<const Token> tokens, KvCache& cache, size_t first_row,
                         const LogitsSink& sink) {
  for (size_t i = 0; i < tokens.size(); ++i)
    EDGELLM_RETURN_IF_ERROR(check_token(tokens[i], cache.n_positions() + i));
  return run({.tokens = tokens, .n_tokens = tokens.size()}, cache, first_row, sink);
}

Status Decoder::evaluate_from(uint32_t layer, std::span<const float> hidden, KvCache& cache, size_t first_row,
                              const LogitsSink& sink) {
  if (layer > hyperparameters_.n_layers || hidden.size() % hyperparameters_.n_embedding != 0)
    return Error{
        fmt::format("evaluate: wanted hidden states of width {} entering one of {} layers, got {} values "
                    "entering layer {}",
                    hyperparameters_.n_embedding, hyperparameters_.n_layers, hidden.size(), layer)};
  return run({.tokens = {},
              .hidden = hidden.data(),
              .n_tokens = hidden.size() / hyperparameters_.n_embedding,
              .first_layer = layer},
             cache, first_row, sink);
}

Result<std::span<const float>> Decoder::logits_after(std::span<const Token> tokens, KvCache& cache) {
  if (tokens.empty()) return Error{"evaluate: wanted at least one token, got none"};
  std::span<const float> row;
  EDGELLM_RETURN_IF_ERROR(
      evaluate(tokens, cache, tokens.size() - 1, [&](size_t, std::span<const float> logits) {
        row = logits;
        return Status();
      }));
  return row;
}

Status Decoder::evaluate_together(std::span<const SequenceStep> steps, const SequenceSink& sink) {
  if (steps.size() > options_.n_batch)
    return Error{
        fmt::format("evaluate: {} sequences are more than the batch of {}", steps.size(), options_.n_batch)};
  EDGELLM_RETURN_IF_ERROR(check_interrupt());
  for (const SequenceStep& step : steps) {
    EDGELLM_RETURN_IF_ERROR(check_token(step.token, step.cache->n_positions()));
    if (step.cache->n_positions() == step.cache->n_context())
      return Error{fmt::format("evaluate: a sequence has filled its context of {}", step.cache->n_context())};
  }
  segments_.clear();
  step_tokens_.clear();
  for (size_t i = 0; i < steps.size(); ++i) {
    steps[i].cache->make_room(1);
    segments_.push_back({steps[i].cache, i, 1});
    step_tokens_.push_back(steps[i].token);
  }
  run_layers({.tokens = step_tokens_, .n_tokens = steps.size()}, 0);
  for (const SequenceStep& step : steps) step.cache->advance(1);
  return give_logits(0, steps.size(), sink);
}

Status Decoder::run(const Input& input, KvCache& cache, size_t first_row, const LogitsSink& sink) {
  assert(first_row == input.n_tokens || sink);
  if (input.n_tokens > cache.n_context() - cache.n_positions())
    return Error{fmt::format("evaluate: {} tokens after {} do not fit the context of {}", input.n_tokens,
                             cache.n_positions(), cache.n_context())};
  size_t n_batch = std::min(options_.n_batch, cache.n_batch());
  for (size_t at = 0; at < input.n_tokens; at += n_batch) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    Input batch = input;
    batch.n_tokens = std::min(n_batch, input.n_tokens - at);
    if (input.hidden)
      batch.hidden += at * hyperparameters_.n_embedding;
    else
      batch.tokens = input.tokens.subspan(at, batch.n_tokens);
    size_t row = first_row > at ? std::min(first_row - at, batch.n_tokens) : 0,
           position = cache.n_positions();
    cache.make_room(batch.n_tokens);
    segments_.assign(1, {&cache, 0, batch.n_tokens});
    run_layers(batch, row);
    cache.advance(batch.n_tokens);
    if (row == batch.n_tokens) continue;
    EDGELLM_RETURN_IF_ERROR(give_logits(row, batch.n_tokens, [&](size_t i, std::span<const float> logits) {
      return sink(position + i, logits);
    }));
  }
  return {};
}

void Decoder::run_layers(const Input& input, size_t first_row) {
  const Hyperparameters& h = hyperparameters_;
  size_t n_tokens = input.n_tokens, position = segments_.front().cache->n_positions();
  GraphBuffers& b = buffers_;
  if (input.hidden)
    std::copy_n(input.hidden, n_tokens * h.n_embedding, b.residual);
  else
    backend_->rows(weights_.token_embedding, input.tokens, h.embedding_scale, b.residual);
  if (h.architecture->rope != RopeKind::none) {
    for (const Segment& s : segments_) {
      size_t at = s.first_token * (h.n_rotated / 2), first = s.cache->n_positions();
      rope_.fill(first, s.n_tokens, b.cosine + at, b.sine + at);
      if (h.sliding_window) local_rope_.fill(first, s.n_tokens, b.local_cosine + at, b.local_sine + at);
    }
  }
  for (uint32_t layer = input.first_layer; layer < h.n_layers; ++layer) {
    if (observers_.on_hidden) observers_.on_hidden(layer, position, b.residual, n_tokens);
    // Nothing after the last layer's keys and values depends on rows whose logits nobody wants.
    bool last = layer + 1 == h.n_layers && !observers_.on_hidden && !observers_.on_product_input;
    size_t needed = last ? first_row : 0;
    if (!attention_dropped_[layer] && h.n_heads[layer]) run_attention(layer, n_tokens, needed);
    if (!ffn_dropped_[layer] && h.n_feed_forward[layer] && needed < n_tokens)
      run_ffn(layer, b.residual + needed * h.n_embedding, n_tokens - needed);
    const LayerWeights& l = weights_.layers[layer];
    give_back({&l.q, &l.k, &l.v, &l.attention_output, &l.gate, &l.up, &l.down});
  }
  if (observers_.on_hidden) observers_.on_hidden(h.n_layers, position, b.residual, n_tokens);
}

void Decoder::give_back(std::initializer_list<const Matrix*> used) const {
  if (!options_.gives_back_weights) return;
  for (const Matrix* matrix : used)
    if (matrix->data)
      give_back_mapped({static_cast<const std::byte*>(matrix->data),
                        matrix->n_rows * *row_bytes(matrix->type, matrix->n_columns)});
}

void Decoder::run_attention(uint32_t layer, size_t n_tokens, size_t first_row) {
  const Hyperparameters& h = hyperparameters_;
  const LayerWeights& l = weights_.layers[layer];
  GraphBuffers& b = buffers_;
  backend_->rms_norm(b.residual, l.attention_norm.data(), h.norm_epsilon, b.branch, n_tokens, h.n_embedding);
  observe(TensorRole::attention_q, int32_t(layer), b.branch, n_tokens, l.q);
  observe(TensorRole::attention_k, int32_t(layer), b.branch, n_tokens, l.k);
  observe(TensorRole::attention_v, int32_t(layer), b.branch, n_tokens, l.v);
  std::array tasks = {ProductTask{&l.q, data_or_null(l.q_bias), b.q, l.q.n_rows},
                      ProductTask{&l.k, data_or_null(l.k_bias), b.k, l.k.n_rows},
                      ProductTask{&l.v, data_or_null(l.v_bias), b.v, l.v.n_rows}};
  backend_->products(b.branch, n_tokens, h.n_embedding, tasks);
  for (const Segment& segment : segments_) attend(layer, segment, first_row);
  if (observers_.on_attention && segments_.size() == 1 && segments_[0].cache->n_positions() == 0)
    observers_.on_attention({layer, n_tokens, b.branch, b.q, b.k});
  if (first_row == n_tokens) return;
  size_t n_needed = n_tokens - first_row;
  observe(TensorRole::attention_output, int32_t(layer), b.attended, n_needed, l.attention_output);
  ProductTask output = {&l.attention_output, data_or_null(l.attention_output_bias), b.branch, h.n_embedding};
  backend_->products(b.attended, n_needed, l.attention_output.n_columns, {&output, 1});
  add_branch(l.attention_post_norm, b.residual + first_row * h.n_embedding, n_needed);
}

// Queries, keys and values of a segment from the products to b.attended, whose rows begin with the batch's
// first_row.
void Decoder::attend(uint32_t layer, const Segment& segment, size_t first_row) {
  const Hyperparameters& h = hyperparameters_;
  const LayerWeights& l = weights_.layers[layer];
  GraphBuffers& b = buffers_;
  bool sliding = h.layer_is_sliding(layer);
  size_t at = segment.first_token, n_tokens = segment.n_tokens, n_angles = at * (h.n_rotated / 2);
  CacheRows rows = segment.cache->rows(layer);
  backend_->heads({.q = b.q + at * l.q.n_rows,
                   .k = b.k + at * l.k.n_rows,
                   .v = b.v + at * l.v.n_rows,
                   .n_tokens = n_tokens,
                   .n_heads = h.n_heads[layer],
                   .n_kv_heads = h.n_kv_heads[layer],
                   .head_width_k = h.head_width_k,
                   .head_width_v = h.head_width_v,
                   .q_norm = data_or_null(l.q_norm),
                   .k_norm = data_or_null(l.k_norm),
                   .norm_epsilon = h.norm_epsilon,
                   .rope = h.architecture->rope,
                   .cosine = (sliding ? b.local_cosine : b.cosine) + n_angles,
                   .sine = (sliding ? b.local_sine : b.sine) + n_angles,
                   .n_rotated = h.n_rotated,
                   .cache = rows});
  if (first_row == n_tokens) return;
  rows.first_row += first_row;
  backend_->attention({.q = b.q + (at + first_row) * l.q.n_rows,
                       .output = b.attended + at * l.attention_output.n_columns,
                       .n_tokens = n_tokens - first_row,
                       .n_heads = h.n_heads[layer],
                       .n_kv_heads = h.n_kv_heads[layer],
                       .head_width_k = h.head_width_k,
                       .head_width_v = h.head_width_v,
                       .cache = rows,
                       .window = sliding ? h.sliding_window : 0,
                       .scale = h.attention_scale,
                       .soft_cap = h.attention_soft_cap});
}

void Decoder::run_ffn(uint32_t layer, float* residual, size_t n_tokens) {
  const Hyperparameters& h = hyperparameters_;
  const LayerWeights& l = weights_.layers[layer];
  GraphBuffers& b = buffers_;
  size_t n_ffn = l.down.n_columns;
  backend_->rms_norm(residual, l.ffn_norm.data(), h.norm_epsilon, b.branch, n_tokens, h.n_embedding);
  observe(TensorRole::ffn_gate, int32_t(layer), b.branch, n_tokens, l.gate);
  observe(TensorRole::ffn_up, int32_t(layer), b.branch, n_tokens, l.up);
  std::array tasks = {ProductTask{&l.gate, data_or_null(l.gate_bias), b.gate, n_ffn},
                      ProductTask{&l.up, data_or_null(l.up_bias), b.up, n_ffn}};
  backend_->products(b.branch, n_tokens, h.n_embedding, tasks);
  backend_->gate(h.architecture->activation, b.gate, b.up, n_tokens * n_ffn);
  observe(TensorRole::ffn_down, int32_t(layer), b.gate, n_tokens, l.down);
  ProductTask down = {&l.down, data_or_null(l.down_bias), b.branch, h.n_embedding};
  backend_->products(b.gate, n_tokens, n_ffn, {&down, 1});
  add_branch(l.ffn_post_norm, residual, n_tokens);
}

void Decoder::add_branch(const Vector& post_norm, float* residual, size_t n_tokens) {
  const Hyperparameters& h = hyperparameters_;
  float* branch = buffers_.branch;
  if (!post_norm.empty())
    backend_->rms_norm(branch, post_norm.data(), h.norm_epsilon, branch, n_tokens, h.n_embedding);
  backend_->add(branch, residual, n_tokens * h.n_embedding);
}

// logits [n_rows, n_vocabulary] of hidden [n_rows, n_embedding], n_rows <= n_logit_rows.
void Decoder::run_head(const float* hidden, size_t n_rows) {
  const Hyperparameters& h = hyperparameters_;
  GraphBuffers& b = buffers_;
  backend_->rms_norm(hidden, weights_.output_norm.data(), h.norm_epsilon, b.branch, n_rows, h.n_embedding);
  TensorRole role = weights_.output.data ? TensorRole::output : TensorRole::token_embedding;
  observe(role, -1, b.branch, n_rows, weights_.head());
  ProductTask task = {&weights_.head(), nullptr, b.logits, h.n_vocabulary};
  backend_->products(b.branch, n_rows, h.n_embedding, {&task, 1});
  if (h.final_soft_cap > 0) backend_->soft_cap(h.final_soft_cap, b.logits, n_rows * h.n_vocabulary);
}

Status Decoder::give_logits(size_t first_row, size_t n_tokens, const SequenceSink& sink) {
  const Hyperparameters& h = hyperparameters_;
  for (size_t row = first_row; row < n_tokens; row += options_.n_logit_rows) {
    size_t n_rows = std::min(options_.n_logit_rows, n_tokens - row);
    run_head(buffers_.residual + row * h.n_embedding, n_rows);
    for (size_t i = 0; i < n_rows; ++i)
      EDGELLM_RETURN_IF_ERROR(sink(row + i, {buffers_.logits + i * h.n_vocabulary, h.n_vocabulary}));
  }
  give_back({&weights_.head()});
  return {};
}

void Decoder::observe(TensorRole role, int32_t layer, const float* x, size_t n_tokens,
                      const Matrix& weights) const {
  if (observers_.on_product_input) observers_.on_product_input(role, layer, x, n_tokens, weights.n_columns);
}

Result<Matrix*> Decoder::matrix_named(std::string_view name) {
  ParsedTensorName parsed = parse_tensor_name(*hyperparameters_.architecture, name);
  bool known = parsed.rule && parsed.layer < int64_t(hyperparameters_.n_layers);
  Matrix* matrix = known ? find_matrix(weights_, parsed.rule->role, parsed.layer) : nullptr;
  if (!matrix || !matrix->data)
    return Error{fmt::format("replace weight: '{}' is not a weight matrix of this model", name)};
  return matrix;
}

Status Decoder::replace_weight(std::string_view name, TensorType type, std::span<const std::byte> data) {
  EDGELLM_ASSIGN_OR_RETURN(Matrix * matrix, matrix_named(name));
  std::optional<size_t> n_row_bytes = row_bytes(type, matrix->n_columns);
  if (!n_row_bytes || !info(type).decode || *n_row_bytes * matrix->n_rows != data.size())
    return Error{fmt::format("replace weight: '{}' as {}: {} rows of {} values cannot lie in {} bytes", name,
                             to_string(type), matrix->n_rows, matrix->n_columns, data.size())};
  matrix->type = type;
  matrix->data = data.data();
  bool is_head = matrix == &weights_.head();
  backend_->reserve_product(type, matrix->n_columns, is_head ? options_.n_logit_rows : options_.n_batch);
  return {};
}

Status Decoder::restore_weight(std::string_view name) {
  const GgufTensor* tensor = file_->find(name);
  if (!tensor) return Error{fmt::format("restore weight: the file has no tensor '{}'", name)};
  return replace_weight(name, tensor->type, tensor->data);
}

void Decoder::restore_weights() {
  for (const GgufTensor& tensor : file_->tensors())
    if (Result<Matrix*> matrix = matrix_named(tensor.name); matrix.ok()) {
      (*matrix)->type = tensor.type;
      (*matrix)->data = tensor.data.data();
    }
}

void Decoder::set_layer_dropped(uint32_t layer, bool dropped) {
  set_attention_dropped(layer, dropped);
  set_ffn_dropped(layer, dropped);
}

}  // namespace edgellm
