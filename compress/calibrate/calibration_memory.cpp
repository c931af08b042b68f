#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "compress/calibrate/calibration.h"
#include "core/base/machine.h"

namespace edgellm {
namespace {

uint64_t layer_values(const Hyperparameters& h, uint32_t layer) {
  uint64_t n = 0;
  for (TensorRole role : layer_matrix_roles()) {
    std::vector<uint64_t> dimensions = tensor_dimensions(h, role, layer);
    n += dimensions[0] * dimensions[1];
  }
  return n;
}

// What a product rounds for itself where it is in another type than the weights: a matrix, what goes in and
// what comes out.
uint64_t product_bytes(const Hyperparameters& h, uint32_t layer, uint64_t n_rows,
                       const TorchCompute& compute) {
  if (compute.product_type() == compute.type) return 0;
  uint64_t most = 0;
  for (TensorRole role : layer_matrix_roles()) {
    std::vector<uint64_t> dimensions = tensor_dimensions(h, role, layer);
    most = std::max(most, dimensions[0] * dimensions[1] + n_rows * (dimensions[0] + dimensions[1]));
  }
  return most * c10::elementSize(compute.product_type());
}

uint64_t layer_moment_bytes(const Hyperparameters& h, uint32_t layer, const CalibrationOptions& options) {
  uint64_t n = 0;
  for (TensorRole role : options.roles)
    n += SecondMoments::n_bytes(int64_t(tensor_dimensions(h, role, layer)[0]), options.moments);
  return n;
}

// Values a block holds at once for one window: queries, keys and values with their turned copies, scores
// before and after softmax, the three feed-forward vectors and the residuals.
uint64_t window_bytes(const Hyperparameters& h, uint32_t layer, uint64_t n_tokens) {
  uint64_t heads = uint64_t{h.n_heads[layer]} * h.head_width_k,
           kv = uint64_t{h.n_kv_heads[layer]} * h.head_width_k;
  uint64_t attention = 3 * (heads + 2 * kv) + 3 * uint64_t{h.n_heads[layer]} * n_tokens;
  uint64_t ffn = 4 * uint64_t{h.n_feed_forward[layer]};
  return 4 * n_tokens * (5 * uint64_t{h.n_embedding} + std::max(attention, ffn));
}

// Where nobody set a limit.
uint64_t usual_memory(const CalibrationOptions& options) {
  if (options.usual_memory) return options.usual_memory;
  const Result<uint64_t> memory = describe_machine().n_memory_bytes;
  return memory.ok() ? *memory / 2 : std::numeric_limits<uint64_t>::max();
}

}  // namespace

Result<CalibrationMemory> plan_calibration_memory(const Hyperparameters& h, size_t n_windows, size_t n_tokens,
                                                  const TorchCompute& compute,
                                                  const CalibrationOptions& options) {
  CalibrationMemory memory;
  uint64_t n_window_bytes = 0, n_widest = 0, n_product_bytes = 0;
  for (uint32_t layer = 0; layer < h.n_layers; ++layer) {
    uint64_t n_bytes = layer_values(h, layer) * c10::elementSize(compute.type);
    memory.n_layer_bytes = std::max(memory.n_layer_bytes, options.sequential ? 2 * n_bytes : n_bytes);
    memory.n_moment_bytes = std::max(memory.n_moment_bytes, layer_moment_bytes(h, layer, options));
    n_window_bytes = std::max(n_window_bytes, window_bytes(h, layer, n_tokens));
    n_product_bytes = std::max(n_product_bytes, product_bytes(h, layer, options.n_batch_tokens, compute));
    n_widest = std::max(n_widest, uint64_t{h.n_feed_forward[layer]});
  }
  HiddenShape shape = {int64_t(n_windows), int64_t(n_tokens), int64_t(h.n_embedding), options.hidden_type};
  memory.n_hidden_bytes = shape.n_bytes() * (options.sequential && options.keep_original ? 2 : 1);
  if (options.sequential && options.keep_ffn_inputs) {
    HiddenShape gated = {shape.n_windows, shape.n_tokens, int64_t(n_widest), shape.type};
    memory.n_hidden_bytes += shape.n_bytes() + (gated.n_bytes() <= kMostKeptBytes ? gated.n_bytes() : 0);
  }
  const uint64_t n_allowed = options.memory_limit ? options.memory_limit : usual_memory(options);
  size_t most = std::clamp<size_t>(options.n_batch_tokens / n_tokens, 1, n_windows);
  for (bool on_disk : {false, true}) {
    memory.hidden_on_disk = on_disk;
    for (size_t n = most; n > 0; n /= 2) {
      memory.n_batch_windows = n;
      memory.n_batch_bytes = n * n_window_bytes + n_product_bytes;
      if (memory.n_bytes() <= n_allowed) return memory;
      // Small batches are slower than states on disk.
      if (!on_disk && n * 4 <= most) break;
    }
  }
  if (!options.memory_limit) return memory;
  return Error{
      fmt::format("calibrate: {} bytes of memory are not enough: a layer takes {}, its statistics {}, one "
                  "window of {} tokens {}; "
                  "{} bytes would do",
                  options.memory_limit, memory.n_layer_bytes, memory.n_moment_bytes, n_tokens,
                  memory.n_batch_bytes, memory.n_bytes())};
}

}  // namespace edgellm
