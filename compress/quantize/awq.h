// AWQ (Lin et al., "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration", arXiv
// 2306.00978): columns of large inputs are scaled up before rounding and the operator before scaled down, and
// what few weights reach far is clipped. Before rounding the model computes the same.
#pragma once

#include <ATen/ATen.h>
#include <functional>
#include <span>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

// What weights [n_rows, n_columns] become in the grid that will be written: a block format, encoded and
// decoded again.
using RoundMatrix = std::function<at::Tensor(const at::Tensor& weights)>;

struct AwqMatrix {
  at::Tensor weights;  // [n_rows, n_columns]
  RoundMatrix round;
};

// Of the inputs x that one or several matrices share.
struct AwqInput {
  at::Tensor mean_magnitude;  // [n_columns], mean |x|
  at::Tensor second_moments;  // [n_columns, n_columns], sum of x x^T over n_tokens tokens
  double n_tokens = 0;
};

struct AwqScales {
  at::Tensor scales;           // [n_columns]; weights are multiplied by them, inputs divided
  double ratio = 0;            // the exponent of mean_magnitude that was best, 0: no scaling
  double error = 0;            // mean squared output error with it
  std::vector<double> errors;  // of each exponent tried
};

// Tries scales = mean_magnitude^(k / n_steps), k = 0 .. n_steps - 1, brought to sqrt(min max) = 1 (inputs
// that are always zero have a scale of 1). The error is that of all matrices' outputs: the official program
// looks at the output of the block they stand in instead, which for several matrices (q, k, v; gate, up) is
// another measure. Second moments are all that is needed of the inputs: |x (W - Q)^T|^2 summed over tokens is
// the trace of (W - Q) H (W - Q)^T. Error for inputs that are not finite, or shapes that do not fit.
Result<AwqScales> search_awq_scales(std::span<const AwqMatrix> matrices, const AwqInput& input,
                                    int n_steps = 20);

// Largest magnitudes to clip the groups of n_group neighbours to, [n_rows, n_columns / n_group]: of 1, 0.95,
// ... 0.55 of the group's largest that with the least error of the group's own part of the output.
// second_moments are of the inputs of these weights (divided by the scales, where there are any).
at::Tensor search_awq_clip(const at::Tensor& weights, const at::Tensor& second_moments, int64_t n_group,
                           const RoundMatrix& round);
at::Tensor clip_groups(const at::Tensor& weights, const at::Tensor& limits);

// Weights and their inputs' second moments once scaled.
at::Tensor scale_columns(const at::Tensor& weights, const at::Tensor& scales);
at::Tensor scale_moments(const at::Tensor& second_moments, const at::Tensor& scales);
// The operator before, made to give x / scales: a norm's weight [n_columns] (and bias), or a matrix
// [n_columns, any].
at::Tensor divide_outputs(const at::Tensor& previous, const at::Tensor& scales);

}  // namespace edgellm
