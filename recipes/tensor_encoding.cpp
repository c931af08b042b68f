#include "recipes/tensor_encoding.h"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>

#include "core/base/interrupt.h"
#include "core/blocks/plain.h"

namespace edgellm {
namespace {

constexpr size_t kValuesPerSlab = size_t{8} << 20;
constexpr size_t kValuesPerPiece = size_t{1} << 15;

Error not_finite(const GgufTensor& tensor) {
  return {fmt::format("tensor {} holds NaN or infinite values", tensor.name)};
}

}  // namespace

void decode_rows(const GgufTensor& tensor, size_t first_row, size_t n_rows, float* values) {
  size_t n_bytes = *row_bytes(tensor.type, tensor.n_columns());
  info(tensor.type).decode(tensor.data.data() + first_row * n_bytes, values, n_rows * tensor.n_columns());
}

Status check_finite(const GgufTensor& tensor, ThreadPool& threads) {
  if (!info(tensor.type).decode) return {};
  EDGELLM_RETURN_IF_ERROR(check_interrupt());
  size_t n_columns = tensor.n_columns();
  std::vector<std::vector<float>> values(threads.n_threads(), std::vector<float>(n_columns));
  std::atomic<bool> finite{true};
  threads.parallel_for(tensor.n_rows(), std::max<size_t>(1, kValuesPerPiece / n_columns),
                       [&](size_t begin, size_t end, size_t thread) {
                         for (size_t row = begin; row < end && finite; ++row) {
                           decode_rows(tensor, row, 1, values[thread].data());
                           if (!all_finite(values[thread].data(), n_columns)) finite = false;
                         }
                       });
  if (!finite) return not_finite(tensor);
  return {};
}

Result<EncodingError> encode_tensor(const GgufTensor& tensor, const EncodeTensorOptions& options,
                                    ThreadPool& threads, const BytesSink& sink) {
  const TensorTypeInfo &from = info(tensor.type), &to = info(options.type);
  size_t n_columns = tensor.n_columns(),
         n_rows = (tensor.n_rows() + options.row_stride - 1) / options.row_stride;
  auto n_row_bytes = row_bytes(options.type, n_columns);
  if (!from.decode) return Error{fmt::format("tensor {}: type {} holds no weights", tensor.name, from.name)};
  if (!to.encode)
    return Error{fmt::format("tensor {}: type {} can be read but not written", tensor.name, to.name)};
  if (!n_row_bytes)
    return Error{fmt::format("tensor {}: rows of {} values do not fit {}, which has blocks of {}",
                             tensor.name, n_columns, to.name, to.n_values_per_block)};
  const float* importance = options.importance.empty() ? nullptr : options.importance.data();
  bool copy = tensor.type == options.type && options.row_stride == 1 && !options.measure_error;

  size_t rows_per_slab = std::max<size_t>(1, kValuesPerSlab / n_columns);
  size_t rows_per_piece = std::max<size_t>(1, kValuesPerPiece / n_columns);
  std::vector<std::byte> slab(std::min(rows_per_slab, n_rows) * *n_row_bytes);
  struct PerThread {
    std::vector<float> values, decoded;
    EncodingError error;
  };
  std::vector<PerThread> state(threads.n_threads());
  for (auto& s : state) {
    s.values.resize(n_columns);
    if (options.measure_error) s.decoded.resize(n_columns);
  }
  std::atomic<bool> finite{true};
  for (size_t first = 0; first < n_rows; first += rows_per_slab) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    size_t count = std::min(rows_per_slab, n_rows - first);
    threads.parallel_for(count, rows_per_piece, [&](size_t begin, size_t end, size_t thread) {
      PerThread& s = state[thread];
      for (size_t i = begin; i < end; ++i) {
        decode_rows(tensor, (first + i) * options.row_stride, 1, s.values.data());
        if (!all_finite(s.values.data(), n_columns)) {
          finite = false;
          return;
        }
        std::byte* out = slab.data() + i * *n_row_bytes;
        if (copy) {
          std::copy_n(tensor.data.data() + (first + i) * *n_row_bytes, *n_row_bytes, out);
          continue;
        }
        to.encode(s.values.data(), importance, out, n_columns);
        if (!options.measure_error) continue;
        to.decode(out, s.decoded.data(), n_columns);
        for (size_t c = 0; c < n_columns; ++c) {
          double w = importance ? importance[c] : 1.0, d = double(s.values[c]) - s.decoded[c];
          s.error.error += w * d * d;
          s.error.signal += w * double(s.values[c]) * s.values[c];
        }
      }
    });
    if (!finite) return not_finite(tensor);
    EDGELLM_RETURN_IF_ERROR(sink(std::span(slab.data(), count * *n_row_bytes)));
  }
  EncodingError total;
  for (const auto& s : state) {
    total.error += s.error.error;
    total.signal += s.error.signal;
  }
  return total;
}

}  // namespace edgellm
