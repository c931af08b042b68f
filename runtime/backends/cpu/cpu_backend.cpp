#include "runtime/backends/cpu/cpu_backend.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <fmt/format.h>

namespace edgellm {
namespace {

constexpr size_t kRowsMultiple = 32;
constexpr size_t kMostTasks = 4;

// Rows of a piece: enough pieces for the threads to end together, large enough for long sequential reads.
size_t rows_per_piece(size_t n_rows, size_t n_threads, size_t n_tokens) {
  size_t wanted = n_rows / (n_threads * (n_tokens == 1 ? 16 : 8));
  size_t most = n_tokens == 1 ? 512 : 128;
  return std::clamp(wanted / kRowsMultiple * kRowsMultiple, kRowsMultiple, most);
}

// Whether rows of n_columns floats already have the layout of ActivationFormat::f32.
bool lies_ready(ActivationFormat format, size_t n_columns) {
  return format == ActivationFormat::f32 && activation_bytes(format, n_columns) == n_columns * sizeof(float);
}

}  // namespace

CpuBackend::CpuBackend(size_t n_threads, const Kernels& table, bool batch_invariant)
    : kernels_(table), batch_invariant_(batch_invariant), pool_(n_threads, true) {}

std::string CpuBackend::description() const {
  return fmt::format("CPU, {}, {} thread{}", kernels_.name, n_threads(), n_threads() == 1 ? "" : "s");
}

void CpuBackend::reserve_scratch(size_t n_bytes) {
  n_scratch_bytes_ = std::max(n_scratch_bytes_, AlignedBuffer::rounded(n_bytes));
  scratch_.grow_to(n_scratch_bytes_ * n_threads());
}

void CpuBackend::reserve_product(TensorType type, size_t n_columns, size_t n_tokens) {
  ActivationFormat format = activation_format(type, n_columns);
  if (!lies_ready(format, n_columns))
    activations_[size_t(format)].grow_to(activation_bytes(format, n_columns) *
                                         (batch_invariant_ ? std::max(n_tokens, kManyTokens) : n_tokens));
  reserve_scratch(kernels_.scratch_bytes(type, n_columns));
}

void CpuBackend::reserve_attention(size_t n_heads_per_kv_head, size_t head_width_k, size_t head_width_v) {
  reserve_scratch(
      kernels_.attention_scratch_bytes(kAttentionTile, n_heads_per_kv_head, head_width_k, head_width_v));
}

void CpuBackend::reserve_sequences(size_t most_tokens_of_one, size_t head_width) {
  reserve_scratch(kernels_.sequence_attention_scratch_bytes(most_tokens_of_one, head_width));
}

size_t CpuBackend::n_reserved_bytes() const {
  size_t n = scratch_.n_bytes();
  for (const AlignedBuffer& buffer : activations_) n += buffer.n_bytes();
  return n;
}

// A dispatch costs about as much as a token's norm, so single tokens stay here.
template <class Function>
void CpuBackend::for_tokens(size_t n_tokens, size_t piece, Function&& function) {
  if (n_tokens <= piece || n_threads() == 1) {
    for (size_t t = 0; t < n_tokens; ++t) function(t);
    return;
  }
  pool_.parallel_for(n_tokens, piece, [&](size_t begin, size_t end, size_t) {
    for (size_t t = begin; t < end; ++t) function(t);
  });
}

void CpuBackend::rows(const Matrix& table, std::span<const Token> tokens, float scale, float* y) {
  const TensorTypeInfo& type = info(table.type);
  size_t n_row_bytes = table.n_columns / type.n_values_per_block * type.n_bytes_per_block;
  for_tokens(tokens.size(), 16, [&](size_t t) {
    assert(tokens[t] >= 0 && size_t(tokens[t]) < table.n_rows);
    float* row = y + t * table.n_columns;
    type.decode(static_cast<const std::byte*>(table.data) + size_t(tokens[t]) * n_row_bytes, row,
                table.n_columns);
    if (scale != 1.0f)
      for (size_t i = 0; i < table.n_columns; ++i) row[i] *= scale;
  });
}

void CpuBackend::rms_norm(const float* x, const float* weight, float epsilon, float* y, size_t n_tokens,
                          size_t n_columns) {
  for_tokens(n_tokens, 8, [&](size_t t) {
    kernels_.rms_norm(x + t * n_columns, weight, epsilon, y + t * n_columns, n_columns);
  });
}

const void* CpuBackend::activations(ActivationFormat format, const float* x, size_t n_tokens,
                                    size_t n_columns) {
  if (lies_ready(format, n_columns)) return x;
  std::byte* out = activations_[size_t(format)].data();
  size_t n_row_bytes = activation_bytes(format, n_columns);
  assert(n_row_bytes * n_tokens <= activations_[size_t(format)].n_bytes());
  for_tokens(n_tokens, 4, [&](size_t t) {
    kernels_.quantize_activations(format, x + t * n_columns, n_columns, out + t * n_row_bytes);
  });
  return out;
}

void CpuBackend::products(const float* x, size_t n_tokens, size_t n_columns,
                          std::span<const ProductTask> tasks) {
  assert(tasks.size() <= kMostTasks);
  std::array<const void*, 3> inputs = {};
  std::array<size_t, kMostTasks + 1> first_piece = {};
  size_t n_rows = 0;
  for (const ProductTask& task : tasks) n_rows += task.weights->n_rows;
  size_t n_computed = batch_invariant_ ? std::max(n_tokens, kManyTokens) : n_tokens;
  size_t piece = rows_per_piece(n_rows, n_threads(), n_computed);
  for (size_t i = 0; i < tasks.size(); ++i) {
    const Matrix& weights = *tasks[i].weights;
    assert(weights.n_columns == n_columns);
    ActivationFormat format = activation_format(weights.type, n_columns);
    const void*& input = inputs[size_t(format)];
    if (!input) input = activations(format, x, n_tokens, n_columns);
    first_piece[i + 1] = first_piece[i] + (weights.n_rows + piece - 1) / piece;
  }
  pool_.parallel_for(first_piece[tasks.size()], 1, [&](size_t index, size_t, size_t thread) {
    size_t i = 0;
    while (index >= first_piece[i + 1]) ++i;
    const ProductTask& task = tasks[i];
    const Matrix& weights = *task.weights;
    size_t begin = (index - first_piece[i]) * piece, end = std::min(begin + piece, weights.n_rows);
    kernels_.matrix_product({.type = weights.type,
                             .weights = weights.data,
                             .n_columns = n_columns,
                             .first_row = begin,
                             .end_row = end,
                             .activations = inputs[size_t(activation_format(weights.type, n_columns))],
                             .n_tokens = n_computed,
                             .output = task.output,
                             .output_stride = task.output_stride,
                             .scratch = scratch(thread)});
    if (task.bias || task.activation != PointwiseActivation::none)
      finish_product(task, n_tokens, begin, end - begin);
  });
}

void CpuBackend::finish_product(const ProductTask& task, size_t n_tokens, size_t first_row,
                                size_t n_rows) const {
  for (size_t t = 0; t < n_tokens; ++t) {
    float* output = task.output + t * task.output_stride + first_row;
    if (task.bias) kernels_.add(task.bias + first_row, output, n_rows);
    switch (task.activation) {
      case PointwiseActivation::none:
        break;
      case PointwiseActivation::gelu:
        kernels_.gelu(output, n_rows);
        break;
      case PointwiseActivation::gelu_tanh:
        kernels_.gelu_tanh(output, n_rows);
        break;
      case PointwiseActivation::relu:
        kernels_.relu(output, n_rows);
        break;
    }
  }
}

void CpuBackend::heads_of_token(const HeadsTask& task, size_t token) const {
  size_t n_pairs = task.n_rotated / 2, row = task.cache.first_row + token;
  const float *cosine = task.cosine + token * n_pairs, *sine = task.sine + token * n_pairs;
  auto finish = [&](float* head, const float* norm) {
    if (norm) kernels_.rms_norm(head, norm, task.norm_epsilon, head, task.head_width_k);
    if (task.rope == RopeKind::interleaved) kernels_.rope_interleaved(head, cosine, sine, task.n_rotated);
    if (task.rope == RopeKind::halves) kernels_.rope_halves(head, cosine, sine, task.n_rotated);
  };
  auto store = [&](const float* head, std::byte* to, size_t width) {
    if (task.cache.is_q8_0)
      kernels_.q8_0_from_floats(head, to, width);
    else
      kernels_.halves_from_floats(head, reinterpret_cast<uint16_t*>(to), width);
  };
  for (size_t h = 0; h < task.n_heads; ++h)
    finish(task.q + (token * task.n_heads + h) * task.head_width_k, task.q_norm);
  for (size_t h = 0; h < task.n_kv_heads; ++h) {
    float* key = task.k + (token * task.n_kv_heads + h) * task.head_width_k;
    const float* value = task.v + (token * task.n_kv_heads + h) * task.head_width_v;
    finish(key, task.k_norm);
    store(key, task.cache.keys + h * task.cache.key_head_stride + row * task.cache.key_stride,
          task.head_width_k);
    store(value, task.cache.values + h * task.cache.value_head_stride + row * task.cache.value_stride,
          task.head_width_v);
  }
}

void CpuBackend::heads(const HeadsTask& task) {
  for_tokens(task.n_tokens, 4, [&](size_t t) { heads_of_token(task, t); });
}

void CpuBackend::attention(const AttentionTask& task) {
  size_t n_tiles = (task.n_tokens + kAttentionTile - 1) / kAttentionTile;
  size_t n_group = task.n_heads / task.n_kv_heads;
  // The query heads of a kv head share its reads; they are parted only when threads would stay idle.
  bool part = n_tiles * task.n_kv_heads < 4 * n_threads() && (n_tiles * task.n_kv_heads) % n_threads() != 0;
  size_t n_heads_each = part ? 1 : n_group, n_shares = n_group / n_heads_each;
  size_t n_of_tile = task.n_kv_heads * n_shares;
  pool_.parallel_for(n_tiles * n_of_tile, 1, [&](size_t index, size_t, size_t thread) {
    // Late tiles see the most rows: they go first, so that no thread is left with a long one at the end.
    size_t tile = n_tiles - 1 - index / n_of_tile, share = index % n_of_tile;
    size_t kv_head = share / n_shares, first = tile * kAttentionTile;
    kernels_.attention({.q = task.q + first * task.n_heads * task.head_width_k,
                        .q_stride = task.n_heads * task.head_width_k,
                        .first_head = kv_head * n_group + share % n_shares * n_heads_each,
                        .n_heads = n_heads_each,
                        .keys = task.cache.keys + kv_head * task.cache.key_head_stride,
                        .values = task.cache.values + kv_head * task.cache.value_head_stride,
                        .key_stride = task.cache.key_stride,
                        .value_stride = task.cache.value_stride,
                        .cache_is_q8_0 = task.cache.is_q8_0,
                        .head_width_k = task.head_width_k,
                        .head_width_v = task.head_width_v,
                        .first_position = task.cache.first_row + first,
                        .n_tokens = std::min(kAttentionTile, task.n_tokens - first),
                        .window = task.window,
                        .scale = task.scale,
                        .soft_cap = task.soft_cap,
                        .output = task.output + first * task.n_heads * task.head_width_v,
                        .output_stride = task.n_heads * task.head_width_v,
                        .scratch = scratch(thread)});
  });
}

void CpuBackend::gate(Activation activation, float* gate, const float* up, size_t n) {
  constexpr size_t kPiece = 8192;
  auto function = activation == Activation::silu ? kernels_.silu_times : kernels_.gelu_times;
  if (n <= 2 * kPiece) return function(gate, up, gate, n);
  pool_.parallel_for(n, kPiece, [&](size_t begin, size_t end, size_t) {
    function(gate + begin, up + begin, gate + begin, end - begin);
  });
}

void CpuBackend::add(const float* x, float* y, size_t n) {
  constexpr size_t kPiece = 16384;
  if (n <= 2 * kPiece) return kernels_.add(x, y, n);
  pool_.parallel_for(
      n, kPiece, [&](size_t begin, size_t end, size_t) { kernels_.add(x + begin, y + begin, end - begin); });
}

void CpuBackend::attention_of_sequences(const SequencesTask& task) {
  const size_t n_items = (task.first_tokens.size() - 1) * task.n_heads,
               width = task.n_heads * task.head_width;
  pool_.parallel_for(n_items, 1, [&](size_t index, size_t, size_t thread) {
    size_t sequence = index / task.n_heads, head = index % task.n_heads;
    size_t first = task.first_tokens[sequence], at = first * task.stride + head * task.head_width;
    kernels_.sequence_attention({.q = task.q + at,
                                 .k = task.k + at,
                                 .v = task.v + at,
                                 .stride = task.stride,
                                 .n_tokens = task.first_tokens[sequence + 1] - first,
                                 .head_width = task.head_width,
                                 .scale = task.scale,
                                 .output = task.output + first * width + head * task.head_width,
                                 .output_stride = width,
                                 .scratch = scratch(thread)});
  });
}

void CpuBackend::add_layer_norm(const float* x, const float* weight, const float* bias, float epsilon,
                                float* y, size_t n_tokens, size_t n_columns) {
  for_tokens(n_tokens, 8, [&](size_t t) {
    float* row = y + t * n_columns;
    if (x) kernels_.add(x + t * n_columns, row, n_columns);
    kernels_.layer_norm(row, weight, bias, epsilon, row, n_columns);
  });
}

void CpuBackend::soft_cap(float cap, float* x, size_t n) {
  pool_.parallel_for(n, 4096, [&](size_t begin, size_t end, size_t) {
    for (size_t i = begin; i < end; ++i) x[i] = cap * std::tanh(x[i] / cap);
  });
}

}  // namespace edgellm
