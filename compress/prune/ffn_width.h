// Narrower feed-forward parts: whole channels of gate, up and down go, and those that stay make up for them.
// The score is Wanda's for a channel: what it adds to the hidden state if channels were uncorrelated. The
// compensation is least squares on the second moments, as in SparseGPT with whole columns.
#pragma once

#include <ATen/ATen.h>
#include <cstdint>

#include "core/base/result.h"

namespace edgellm {

// down: [n_embedding, n_feed_forward]; squares: [n_feed_forward], mean squared input of each of its columns.
// Result [n_feed_forward]: root mean square of what each channel adds, norm of its column times that of its
// input.
at::Tensor ffn_channel_scores(const at::Tensor& down, const at::Tensor& squares);

// Channels that stay of n when about a fraction goes: the nearest multiple (of the block format's 256 or 32),
// at least one. Error when that is no fewer than all.
Result<int64_t> pruned_ffn_width(int64_t n_feed_forward, double fraction, int64_t multiple);

// The n_kept channels of the highest scores, in rising order: [n_kept], int64.
at::Tensor kept_ffn_channels(const at::Tensor& scores, int64_t n_kept);

// down for the kept channels alone, [n_embedding, n_kept]: W_K + W_P H_PK (H_KK + damping)^-1, which leaves
// the least squared error of the output. second_moments: H, [n_feed_forward, n_feed_forward], any multiple;
// without it (undefined) the plain columns. damping: share of the mean diagonal of H_KK. Error when not
// positive definite.
Result<at::Tensor> narrowed_down(const at::Tensor& down, const at::Tensor& kept,
                                 const at::Tensor& second_moments, double damping = 0.01);

}  // namespace edgellm
