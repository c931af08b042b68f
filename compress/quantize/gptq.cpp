#include "compress/quantize/gptq.h"

#include <algorithm>
#include <fmt/format.h>

#include "compress/torch_model/torch_call.h"
#include "core/base/thread_pool.h"
#include "core/blocks/exact_zero.h"

namespace edgellm {
namespace {

// Rows that a thread takes at a time.
constexpr size_t kRowTile = 64;

// A copy of the part of F (or H) in the columns of a panel, with its rows close together.
std::vector<float> square_part(const at::Tensor& matrix, size_t first, size_t n,
                               const at::Tensor& added_to_diagonal = {}) {
  const at::Tensor square = matrix.narrow(0, int64_t(first), int64_t(n))
                                .narrow(1, int64_t(first), int64_t(n))
                                .contiguous()
                                .to(at::kCPU);
  std::vector<float> part(square.data_ptr<float>(), square.data_ptr<float>() + n * n);
  if (!added_to_diagonal.defined()) return part;
  const float* added = added_to_diagonal.data_ptr<float>() + first;
  for (size_t i = 0; i < n; ++i) part[i * n + i] += added[i];
  return part;
}

// The errors of a matrix, rounded on the CPU, where products with H or F are computed.
class ErrorsOnDevice {
 public:
  ErrorsOnDevice(at::Tensor errors, at::Device device)
      : errors_(std::move(errors)), there_(device.is_cpu() ? errors_ : errors_.to(device)) {}

  const at::Tensor& there() const { return there_; }
  void copy(size_t first, size_t n) {
    if (there_.is_same(errors_)) return;
    auto part = [&](const at::Tensor& x) { return x.narrow(0, int64_t(first), int64_t(n)); };
    part(there_).copy_(part(errors_));
  }

 private:
  at::Tensor errors_, there_;  // [n_columns, stride]
};

struct Solver {
  const FeedbackGrid& grid;
  const ErrorFactor& factor;
  const GptqOptions& options;
  size_t n_rows;
  ThreadPool pool;
  struct Panel {
    size_t first, n;  // columns
    std::unique_ptr<FeedbackPanel> of;
  };
  std::vector<Panel> panels = {};

  at::Tensor round(const at::Tensor& weights) {
    auto round_panel = [&](size_t first, size_t n, const PanelFeedback& feedback, const float* values,
                           float* targets, float* errors, size_t stride) {
      panels.push_back(
          {first, n, make_feedback_panel(grid, n, n_rows, feedback.importance, options.keeps_zeros)});
      FeedbackPanel& panel = *panels.back().of;
      pool.parallel_for(stride, kRowTile, [&](size_t begin, size_t end, size_t) {
        panel.round(feedback, options.trials, values, targets, errors, stride, begin, end);
      });
    };
    return round_with_feedback(weights, factor, grid.n_panel_values, round_panel);
  }

  void improve(at::Tensor& errors, const RunFactors& runs) {
    const size_t n_run = grid.n_run_values, stride = size_t(errors.size(1));
    ErrorsOnDevice on_device(errors, factor.moment.device());
    for (auto& [first, n, panel] : panels) {
      const size_t first_run = first / n_run;
      at::Tensor part = errors.narrow(0, int64_t(first), int64_t(n));
      at::Tensor gradients =
          at::mm(factor.moment.narrow(0, int64_t(first), int64_t(n)), on_device.there()).to(at::kCPU);
      gradients.addcmul_(part, factor.damping.narrow(0, int64_t(first), int64_t(n)).unsqueeze(1));
      const auto curvature = square_part(factor.moment, first, n, factor.damping);
      PanelCurvature panel_curvature = {curvature.data(), runs.feedback.data() + first_run * n_run * n_run,
                                        runs.importance.data() + first_run * n_run,
                                        runs.inverse.data() + first_run * n_run * n_run};
      const float* g = gradients.data_ptr<float>();
      float* e = part.data_ptr<float>();
      pool.parallel_for(stride, kRowTile, [&, &panel = *panel](size_t begin, size_t end, size_t) {
        panel.improve(panel_curvature, options.sweep_trials, options.n_passes, g, e, stride, begin, end);
      });
      on_device.copy(first, n);
    }
  }
};

}  // namespace

at::Tensor round_with_feedback(const at::Tensor& weights, const ErrorFactor& factor, size_t n_panel_columns,
                               const RoundPanel& round_panel) {
  const size_t n_columns = size_t(weights.size(0)), stride = size_t(weights.size(1));
  at::Tensor errors = at::zeros_like(weights);
  ErrorsOnDevice on_device(errors, factor.feedback.device());
  for (size_t first = 0; first < n_columns; first += n_panel_columns) {
    const size_t n = std::min(n_panel_columns, n_columns - first);
    at::Tensor targets = weights.narrow(0, int64_t(first), int64_t(n)).clone();
    if (first)
      targets.add_(
          at::mm(factor.feedback.narrow(0, 0, int64_t(first)).narrow(1, int64_t(first), int64_t(n)).t(),
                 on_device.there().narrow(0, 0, int64_t(first)))
              .to(at::kCPU));
    const auto feedback = square_part(factor.feedback, first, n);
    round_panel(first, n, {feedback.data(), factor.importance.data_ptr<float>() + first},
                weights.data_ptr<float>() + first * stride, targets.data_ptr<float>(),
                errors.data_ptr<float>() + first * stride, stride);
    on_device.copy(first, n);
  }
  return errors;
}

double output_error(const at::Tensor& errors, const at::Tensor& moment) {
  const at::Tensor there = errors.to(moment.device());
  return (there * at::mm(moment, there)).sum(at::kDouble).item<double>();
}

namespace {

Status check_weights(const at::Tensor& weights, const ErrorFactor& factor, TensorType type) {
  if (weights.dim() != 2 || weights.numel() == 0) return Error{"a matrix of weights is wanted"};
  const size_t n_columns = size_t(weights.size(1)), n_block = info(type).n_values_per_block;
  if (n_columns % n_block)
    return Error{fmt::format("rows of {} values are no multiple of its block of {}", n_columns, n_block)};
  if (factor.n_columns() != n_columns)
    return Error{
        fmt::format("rows of {} values, but second moments of {} inputs", n_columns, factor.n_columns())};
  at::Tensor finite = at::isfinite(weights).all(1);
  if (!finite.all().item<bool>())
    return Error{fmt::format("row {} of the weights has values that are no finite numbers",
                             finite.to(at::kInt).argmin().item<int64_t>())};
  return {};
}

// The format's encoder with the importance diag(H), for all rows of weights [n_rows, n_columns].
struct NearestRows {
  std::vector<uint8_t> bytes;
  at::Tensor decoded;
};

NearestRows round_to_nearest(const at::Tensor& weights, const ErrorFactor& factor, const TensorTypeInfo& type,
                             ThreadPool& pool) {
  const size_t n_rows = size_t(weights.size(0)), n_columns = size_t(weights.size(1));
  const size_t n_row_bytes = row_bytes(type.type, n_columns).value();
  const at::Tensor rows = weights.to(at::kCPU, at::kFloat).contiguous(),
                   importance = factor.moment.diagonal().to(at::kCPU).contiguous();
  NearestRows found = {std::vector<uint8_t>(n_rows * n_row_bytes), at::empty_like(rows)};
  const float *from = rows.data_ptr<float>(), *weight = importance.data_ptr<float>();
  float* decoded = found.decoded.data_ptr<float>();
  pool.parallel_for(n_rows, 8, [&](size_t begin, size_t end, size_t) {
    for (size_t row = begin; row < end; ++row) {
      uint8_t* bytes = found.bytes.data() + row * n_row_bytes;
      type.encode(from + row * n_columns, weight, bytes, n_columns);
      type.decode(bytes, decoded + row * n_columns, n_columns);
    }
  });
  return found;
}

// Of the rows an error is told of, [n_told].
at::Tensor told_rows(size_t n_rows, const GptqOptions& options) {
  const size_t n = options.n_error_rows && options.n_error_rows < n_rows ? options.n_error_rows : n_rows;
  return (at::arange(int64_t(n)) * int64_t(n_rows) / int64_t(n)).to(at::kLong);
}

GptqTensor quantized(const at::Tensor& weights, const ErrorFactor& factor, const FeedbackGrid& grid,
                     const GptqOptions& options) {
  const size_t n_rows = size_t(weights.size(0)), n_columns = size_t(weights.size(1));
  at::Tensor transposed = at::zeros({int64_t(n_columns), int64_t(padded_rows(n_rows))}, at::kFloat);
  transposed.narrow(1, 0, int64_t(n_rows)).copy_(weights.t());
  Solver solver{grid, factor, options, n_rows, ThreadPool(options.n_threads)};
  at::Tensor errors = solver.round(transposed);
  if (options.n_sweeps) {
    const RunFactors runs = factor_runs(factor, grid.n_run_values);
    for (int sweep = 0; sweep < options.n_sweeps; ++sweep) solver.improve(errors, runs);
  }

  GptqTensor found;
  const size_t n_row_bytes = row_bytes(grid.type, n_columns).value();
  found.bytes.resize(n_rows * n_row_bytes);
  at::Tensor decoded = at::zeros_like(transposed);
  const size_t stride = size_t(transposed.size(1));
  for (const auto& [first, n, panel] : solver.panels) {
    uint8_t* bytes = found.bytes.data() + first / grid.n_block_values * info(grid.type).n_bytes_per_block;
    float* values = decoded.data_ptr<float>() + first * stride;
    solver.pool.parallel_for(n_rows, kRowTile, [&, &panel = *panel](size_t begin, size_t end, size_t) {
      panel.pack(bytes, n_row_bytes, begin, end);
      panel.decode(values, stride, begin, end);
    });
  }
  const at::Tensor told = told_rows(n_rows, options);
  at::Tensor of_rows = transposed.index_select(1, told), rests = of_rows - decoded.index_select(1, told);
  const double energy = output_error(of_rows, factor.moment);
  found.relative_error = energy > 0 ? output_error(rests, factor.moment) / energy : 0;
  if (options.keeps_decoded) found.decoded = decoded.narrow(1, 0, int64_t(n_rows)).t().contiguous();
  NearestRows nearest = round_to_nearest(of_rows.t(), factor, info(grid.type), solver.pool);
  const double nearest_energy = output_error(of_rows - nearest.decoded.t(), factor.moment);
  found.nearest_error = energy > 0 ? nearest_energy / energy : 0;
  if (found.nearest_error <= found.relative_error) {
    if (size_t(told.size(0)) < n_rows)
      nearest = round_to_nearest(weights, factor, info(grid.type), solver.pool);
    found.relative_error = found.nearest_error;
    found.bytes = std::move(nearest.bytes);
    if (options.keeps_decoded) found.decoded = nearest.decoded;
  }
  return found;
}

}  // namespace

Result<GptqTensor> quantize_gptq(const at::Tensor& weights, const ErrorFactor& factor, TensorType type,
                                 const GptqOptions& options) {
  const std::string operation = fmt::format("GPTQ to {}", to_string(type));
  return torch_call(operation, [&]() -> Result<GptqTensor> {
    const auto grid = find_feedback_grid(type);
    if (!grid) return Error{fmt::format("{}: this type has no grid to round on", operation)};
    if (options.keeps_zeros && !holds_exact_zero(type))
      return Error{fmt::format("{}: this type holds no zero to keep", operation)};
    if (Status usable = check_weights(weights, factor, type); !usable.ok())
      return Error{fmt::format("{}: {}", operation, usable.error().message)};
    return quantized(weights, factor, *grid, options);
  });
}

Result<GptqTensor> quantize_nearest(const at::Tensor& weights, const ErrorFactor& factor, TensorType type,
                                    const GptqOptions& options) {
  const std::string operation = fmt::format("rounding to {}", to_string(type));
  return torch_call(operation, [&]() -> Result<GptqTensor> {
    if (!info(type).encode) return Error{fmt::format("{}: this type can be read but not written", operation)};
    if (Status usable = check_weights(weights, factor, type); !usable.ok())
      return Error{fmt::format("{}: {}", operation, usable.error().message)};
    ThreadPool pool(options.n_threads);
    NearestRows rows = round_to_nearest(weights, factor, info(type), pool);
    const at::Tensor told = told_rows(size_t(weights.size(0)), options);
    const at::Tensor of_rows =
        weights.index_select(0, told.to(weights.device())).to(at::kCPU, at::kFloat).t();
    const double energy = output_error(of_rows, factor.moment),
                 error = output_error(of_rows - rows.decoded.index_select(0, told).t(), factor.moment);
    GptqTensor found;
    found.bytes = std::move(rows.bytes);
    found.relative_error = found.nearest_error = energy > 0 ? error / energy : 0;
    if (options.keeps_decoded) found.decoded = std::move(rows.decoded);
    return found;
  });
}

}  // namespace edgellm
