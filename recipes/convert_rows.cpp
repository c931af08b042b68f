#include "recipes/convert_rows.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fmt/format.h>
#include <vector>

#include "core/base/interrupt.h"

namespace edgellm {
namespace {

constexpr size_t kSlabValues = size_t{1} << 21;
constexpr size_t kPieceValues = size_t{1} << 16;

// The source's row that becomes row `row` of the output.
size_t source_row(HeadOrder order, size_t row, size_t head_width) {
  size_t head = row / head_width * head_width, within = row % head_width, half = head_width / 2;
  if (order == HeadOrder::halves_to_pairs) return head + within % 2 * half + within / 2;
  if (order == HeadOrder::pairs_to_halves) return head + within % half * 2 + within / half;
  return row;
}

// The least magnitude that no longer fits: what would round to infinity.
float magnitude_limit(TensorType type) {
  return type == TensorType::F16 ? 65520.0f : INFINITY;
}

}  // namespace

Status stream_rows(const RowJob& job, ThreadPool& threads,
                   const std::function<Status(std::span<const std::byte>)>& sink) {
  const TensorTypeInfo& type = info(job.type);
  auto n_row_bytes = row_bytes(job.type, job.n_columns);
  if (!n_row_bytes || !type.encode)
    return Error{fmt::format("tensor '{}': rows of {} values cannot be written as {}", job.name,
                             job.n_columns, type.name)};
  bool vector = job.n_rows == 1;
  size_t head_width = (vector ? job.n_columns : job.n_rows) / job.n_heads;
  float limit = magnitude_limit(job.type);

  size_t n_slab_rows = std::max<size_t>(1, kSlabValues / job.n_columns);
  size_t n_piece_rows = std::max<size_t>(1, kPieceValues / job.n_columns);
  std::vector<std::byte> encoded(std::min(n_slab_rows, job.n_rows) * *n_row_bytes);
  std::vector<std::vector<float>> scratch(threads.n_threads(),
                                          std::vector<float>(job.n_columns * (vector ? 2 : 1)));
  std::atomic<size_t> bad_row{job.n_rows};  // none yet

  auto convert_row = [&](size_t row, float* values, std::byte* to) {
    job.read(vector ? row : source_row(job.order, row, head_width), values);
    if (vector && job.order != HeadOrder::keep) {
      float* reordered = values + job.n_columns;
      for (size_t i = 0; i < job.n_columns; ++i) reordered[i] = values[source_row(job.order, i, head_width)];
      values = reordered;
    }
    // Only then: -0 + 0 would lose its sign.
    if (job.shift != 0)
      for (size_t i = 0; i < job.n_columns; ++i) values[i] += job.shift;
    bool good = true;
    for (size_t i = 0; i < job.n_columns; ++i) good &= std::fabs(values[i]) < limit;  // false for NaN too
    if (!good)
      bad_row.store(row, std::memory_order_relaxed);
    else
      type.encode(values, nullptr, to, job.n_columns);
  };

  for (size_t first = 0; first < job.n_rows; first += n_slab_rows) {
    EDGELLM_RETURN_IF_ERROR(check_interrupt());
    size_t n = std::min(n_slab_rows, job.n_rows - first);
    threads.parallel_for(n, n_piece_rows, [&](size_t begin, size_t end, size_t thread) {
      for (size_t i = begin; i < end; ++i)
        convert_row(first + i, scratch[thread].data(), encoded.data() + i * *n_row_bytes);
    });
    if (size_t row = bad_row.load(); row < job.n_rows)
      return Error{fmt::format("tensor '{}': row {} holds a value that is not finite{}", job.name, row,
                               job.type == TensorType::F16 ? " or too large for F16" : "")};
    EDGELLM_RETURN_IF_ERROR(sink(std::span(encoded).first(n * *n_row_bytes)));
  }
  return {};
}

}  // namespace edgellm
