#include "runtime/graph/kv_cache.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <fmt/format.h>

#include "core/model_file/printable.h"

namespace edgellm {
namespace {

// A sliding layer has room for this many tokens beyond its window, so that rows are moved down only now and
// then.
constexpr size_t kLeastSlack = 128;

size_t row_bytes_of(KvType type, size_t width) {
  return type == KvType::q8_0 ? width / 32 * 34 : width * sizeof(uint16_t);
}

}  // namespace

std::string_view to_string(KvType type) {
  return type == KvType::q8_0 ? "q8_0" : "f16";
}

Result<KvType> parse_kv_type(std::string_view name) {
  if (name == "f16") return KvType::f16;
  if (name == "q8_0") return KvType::q8_0;
  return Error{fmt::format("KV cache type '{}' is not known; wanted f16 or q8_0", printable(name))};
}

Result<KvType> kv_type_for(const Metadata& file, std::string_view name) {
  if (name != "auto") return parse_kv_type(name);
  auto type = parse_kv_type(file.string_or(kKvTypeKey, "f16"));
  if (type.ok()) return type;
  return Error{
      fmt::format("metadata {}: {}; with --kv the file's is passed over", kKvTypeKey, type.error().message)};
}

KvCache::Shape KvCache::shape(const Hyperparameters& h, KvType type, size_t n_context, size_t n_batch) {
  Shape shape;
  shape.key_bytes = row_bytes_of(type, h.head_width_k);
  shape.value_bytes = row_bytes_of(type, h.head_width_v);
  shape.n_bytes = 0;
  for (uint32_t i = 0; i < h.n_layers; ++i) {
    Layer layer{};
    layer.n_kv_heads = h.n_kv_heads[i];
    layer.window = h.layer_is_sliding(i) ? h.sliding_window : 0;
    layer.n_rows = n_context;
    if (layer.window)
      layer.n_rows = std::min(n_context, layer.window + std::max(std::min(n_batch, n_context), kLeastSlack));
    layer.keys_at = shape.n_bytes;
    shape.n_bytes += AlignedBuffer::rounded(layer.n_kv_heads * layer.n_rows * shape.key_bytes);
    layer.values_at = shape.n_bytes;
    shape.n_bytes += AlignedBuffer::rounded(layer.n_kv_heads * layer.n_rows * shape.value_bytes);
    shape.layers.push_back(layer);
  }
  return shape;
}

bool KvCache::fits(const Hyperparameters& h, KvType type) {
  return type != KvType::q8_0 || (h.head_width_k % 32 == 0 && h.head_width_v % 32 == 0);
}

uint64_t KvCache::n_bytes(const Hyperparameters& h, KvType type, size_t n_context, size_t n_batch) {
  return shape(h, type, n_context, n_batch).n_bytes;
}

Result<KvCache> KvCache::create(const Hyperparameters& h, KvType type, size_t n_context, size_t n_batch) {
  if (n_context == 0) return Error{"KV cache: wanted a context of at least 1 token, got 0"};
  if (!fits(h, type))
    return Error{
        fmt::format("KV cache: q8_0 wants head widths that are multiples of 32, got {} and {}; use f16",
                    h.head_width_k, h.head_width_v)};
  KvCache cache;
  cache.type_ = type;
  cache.n_context_ = n_context;
  cache.n_batch_ = std::max<size_t>(1, std::min(n_batch, n_context));
  cache.shape_ = shape(h, type, n_context, n_batch);
  cache.memory_ = AlignedBuffer(cache.shape_.n_bytes);
  if (!cache.memory_.data())
    return Error{fmt::format("KV cache: no memory for {} bytes (context of {} tokens, {})",
                             cache.shape_.n_bytes, n_context, to_string(type))};
  return cache;
}

bool KvCache::truncate(size_t n_positions) {
  assert(n_positions <= n_positions_);
  size_t wanted = n_positions;
  for (const Layer& layer : shape_.layers)
    if (layer.first_position > 0 && layer.first_position + layer.window > n_positions + 1) n_positions = 0;
  n_positions_ = n_positions;
  if (n_positions == 0)
    for (Layer& layer : shape_.layers) layer.first_position = 0;
  return n_positions == wanted;
}

void KvCache::make_room(size_t n_tokens) {
  assert(n_tokens <= n_batch_ && n_positions_ + n_tokens <= n_context_);
  for (Layer& layer : shape_.layers) {
    size_t n_held = n_positions_ - layer.first_position;
    if (n_held + n_tokens <= layer.n_rows) continue;
    size_t n_kept = std::min(layer.window - 1, n_held), from = n_held - n_kept;
    for (size_t head = 0; head < layer.n_kv_heads; ++head) {
      std::byte* keys = memory_.data() + layer.keys_at + head * layer.n_rows * shape_.key_bytes;
      std::byte* values = memory_.data() + layer.values_at + head * layer.n_rows * shape_.value_bytes;
      std::memmove(keys, keys + from * shape_.key_bytes, n_kept * shape_.key_bytes);
      std::memmove(values, values + from * shape_.value_bytes, n_kept * shape_.value_bytes);
    }
    layer.first_position += from;
  }
}

CacheRows KvCache::rows(uint32_t index) const {
  const Layer& layer = shape_.layers[index];
  return {.keys = memory_.data() + layer.keys_at,
          .values = memory_.data() + layer.values_at,
          .key_stride = shape_.key_bytes,
          .value_stride = shape_.value_bytes,
          .key_head_stride = layer.n_rows * shape_.key_bytes,
          .value_head_stride = layer.n_rows * shape_.value_bytes,
          .is_q8_0 = type_ == KvType::q8_0,
          .first_row = n_positions_ - layer.first_position};
}

}  // namespace edgellm
