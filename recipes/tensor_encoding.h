// Encoding one tensor into a block format: streamed from the mapped source in slabs of rows, on all threads.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/base/thread_pool.h"
#include "core/model_file/gguf.h"

namespace edgellm {

// Importance-weighted squared error of an encoding, and the weighted sum of squares of what was encoded.
struct EncodingError {
  double error = 0;
  double signal = 0;
  double relative() const { return signal > 0 ? error / signal : 0; }
};

using BytesSink = std::function<Status(std::span<const std::byte>)>;

struct EncodeTensorOptions {
  TensorType type = TensorType::F16;
  std::span<const float> importance;  // [n_columns], or empty
  size_t row_stride = 1;              // n > 1: only every n-th row, for an estimate of the error
  bool measure_error = false;
};

// Error names the tensor when its row is no multiple of the block, when it holds NaN or infinite values, or
// when the type cannot be written; interrupted between slabs.
Result<EncodingError> encode_tensor(const GgufTensor& tensor, const EncodeTensorOptions& options,
                                    ThreadPool& threads, const BytesSink& sink);

// Error names the tensor when it holds NaN or infinite values; tensors of whole numbers hold none.
Status check_finite(const GgufTensor& tensor, ThreadPool& threads);

// A tensor's rows as floats: [n_rows, n_columns] of rows first .. first + n_rows - 1.
void decode_rows(const GgufTensor& tensor, size_t first_row, size_t n_rows, float* values);

}  // namespace edgellm
