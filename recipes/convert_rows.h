// The rows of one tensor on their way from one file to another: decoded, reordered, shifted, checked and
// encoded in slabs, on all threads.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "core/base/result.h"
#include "core/base/thread_pool.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

// The order of the rows within each head. Hugging Face keeps the two members of a rotated pair half a head
// apart, GGUF (for families of interleaved rotation) side by side.
enum class HeadOrder { keep, halves_to_pairs, pairs_to_halves };

struct RowJob {
  std::string name;                                     // for errors: the source's tensor
  std::function<void(size_t row, float* values)> read;  // decodes one row of the source: [n_columns]
  size_t n_rows = 1, n_columns = 1;
  HeadOrder order = HeadOrder::keep;
  size_t n_heads = 1;                 // what the rows divide into, for `order`
  float shift = 0;                    // added to every value
  TensorType type = TensorType::F32;  // what to encode as
};

// Gives the encoded rows to `sink` in order. A tensor of one row has its values reordered instead of its
// rows. Error when a value is not finite or does not fit the type, when interrupted, or the sink's own.
Status stream_rows(const RowJob& job, ThreadPool& threads,
                   const std::function<Status(std::span<const std::byte>)>& sink);

}  // namespace edgellm
