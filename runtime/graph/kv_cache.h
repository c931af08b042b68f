// Keys and values of the tokens seen so far, one context's worth per layer. Layers with a sliding window keep
// only as many positions as the window and one batch need, and move them down when the end is reached.
#pragma once

#include <vector>

#include "core/arch/architecture.h"
#include "core/base/metadata.h"
#include "core/base/result.h"
#include "runtime/backends/aligned_buffer.h"
#include "runtime/backends/backend.h"

namespace edgellm {

enum class KvType { f16, q8_0 };
std::string_view to_string(KvType type);
Result<KvType> parse_kv_type(std::string_view name);
// Of "auto": what the file asks for by its metadata (kKvTypeKey), else f16. Other names as parse_kv_type().
inline constexpr const char* kKvTypeKey = "edgellm.kv_type";
Result<KvType> kv_type_for(const Metadata& file, std::string_view name);

class KvCache {
 public:
  // n_batch: the most tokens that are added at once. Error when the heads do not fit the type or memory is
  // short.
  static Result<KvCache> create(const Hyperparameters& hyperparameters, KvType type, size_t n_context,
                                size_t n_batch);
  // Whether the heads are of a width that the type can hold.
  static bool fits(const Hyperparameters& hyperparameters, KvType type);
  // What create() would reserve.
  static uint64_t n_bytes(const Hyperparameters& hyperparameters, KvType type, size_t n_context,
                          size_t n_batch);

  size_t n_context() const { return n_context_; }
  size_t n_batch() const { return n_batch_; }
  size_t n_positions() const { return n_positions_; }
  uint64_t n_bytes() const { return memory_.n_bytes(); }

  void clear() { truncate(0); }
  // Forgets the positions from n_positions on. False when a sliding window no longer holds what comes before
  // them: then the cache is empty and the tokens have to be computed again.
  bool truncate(size_t n_positions);

  // Called by the graph: make_room, then rows() of each layer is where the next n_tokens go, then advance.
  void make_room(size_t n_tokens);
  CacheRows rows(uint32_t layer) const;
  void advance(size_t n_tokens) { n_positions_ += n_tokens; }

 private:
  struct Layer {
    size_t keys_at, values_at;  // bytes into memory_
    size_t n_kv_heads;
    size_t n_rows;              // per head
    size_t window;              // 0: none
    size_t first_position = 0;  // held by row 0
  };
  struct Shape {
    std::vector<Layer> layers;
    size_t key_bytes, value_bytes;  // of one row
    uint64_t n_bytes;
  };
  static Shape shape(const Hyperparameters& hyperparameters, KvType type, size_t n_context, size_t n_batch);

  KvCache() = default;
  Shape shape_;
  KvType type_ = KvType::f16;
  size_t n_context_ = 0, n_batch_ = 0, n_positions_ = 0;
  AlignedBuffer memory_;
};

}  // namespace edgellm
