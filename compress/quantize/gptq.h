// GPTQ on the block formats: rounds a weight matrix so that the layer's output, not its weights, is met.
//
// The error of a matrix Q in place of W is tr((W - Q) H (W - Q)^T), H the second moments of the layer's
// inputs. Columns are rounded in order, each after the errors of those before it were fed back (GPTQ, arXiv
// 2210.17323, in the form of LDLQ, arXiv 2307.13304). Beyond the papers: scales and minima are chosen from
// the weights as compensated so far when a block is reached, weighted by what later columns cannot make up;
// every run of values tries the stored grids around its own with the feedback in it; and sweeps over the
// finished matrix improve runs and single levels with the rest fixed (as QuantEase, arXiv 2309.01885, does
// for single values of a uniform grid). In the codebook formats groups of eight stand for single values.
#pragma once

#include <ATen/ATen.h>
#include <cstdint>
#include <functional>
#include <vector>

#include "compress/quantize/error_factor.h"
#include "compress/quantize/feedback_panel.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

// More damping than the papers' 0.01: second moments of some ten thousand tokens tell less about other text
// than about their own (docs/methods.md has the measurement).
inline constexpr double kGptqDamping = 0.1;

struct GptqOptions {
  GridTrials trials = {2, 1, 0.03f};  // of a run when it is reached
  int n_sweeps = 2;                   // over the finished matrix
  // Of a run in each visit of a sweep; in codebook formats in the first one.
  GridTrials sweep_trials = {1, 1, 0.03f};
  int n_passes = 2;           // visits of each run of a panel in a sweep
  size_t n_error_rows = 256;  // rows, evenly spread, of which the error is told; 0: all
  bool keeps_decoded = false;
  // Weights that are exactly zero stay it, in a type that holds one (core/blocks/exact_zero.h).
  bool keeps_zeros = false;
  size_t n_threads = 0;  // of what LibTorch does not compute; 0: one per usable core
};

struct GptqTensor {
  std::vector<uint8_t> bytes;  // rows as a GGUF file has them
  // tr((W - Q) H (W - Q)^T) / tr(W H W^T) without damping; and that of rounding to nearest with the
  // importance diag(H), which is what the bytes are in the rare case that it is no larger (weights that lie
  // on the grid).
  double relative_error = 0, nearest_error = 0;
  at::Tensor decoded;  // what the bytes decode to, [n_rows, n_columns], where it was asked for
};

// weights: [n_rows, n_columns], on any device; products with H run where the factor lies, rounding on the
// CPU, where the result is too. Error for a type that feedback_panel.h knows no grid of, a row that is no
// multiple of its block, H of another size, weights that are no finite numbers, or zeros to keep
// that the type does not hold.
Result<GptqTensor> quantize_gptq(const at::Tensor& weights, const ErrorFactor& factor, TensorType type,
                                 const GptqOptions& options);

// Rounds columns [first, first + n) of all rows: fills errors (values - rounded) from values and targets, all
// [n, stride]. targets hold the feedback of earlier columns, that within the panel is the callee's.
using RoundPanel = std::function<void(size_t first_column, size_t n_columns, const PanelFeedback& feedback,
                                      const float* values, float* targets, float* errors, size_t stride)>;

// The same matrix in any written type by its own encoder, which rounds to nearest with the importance
// diag(H): relative_error and nearest_error are the same.
Result<GptqTensor> quantize_nearest(const at::Tensor& weights, const ErrorFactor& factor, TensorType type,
                                    const GptqOptions& options);

// The solver, whatever the grid. weights: [n_columns, stride] on the CPU, the matrix transposed; gives W - Q
// of the same shape. Panels are `n_panel_columns` wide but for the last.
at::Tensor round_with_feedback(const at::Tensor& weights, const ErrorFactor& factor, size_t n_panel_columns,
                               const RoundPanel& round_panel);

// tr(E H E^T) of the undamped H; errors: [n_columns, n_rows].
double output_error(const at::Tensor& errors, const at::Tensor& moment);

}  // namespace edgellm
