// Pruning that changes matrices, on LibTorch: single weights, feed-forward channels, and layers with a linear
// correction.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/base/progress.h"
#include "core/base/result.h"

namespace edgellm {

struct PruneOptions;

// options.method is one that needs_torch(). A dry run of these still computes everything but writes no file,
// and its report has no figures of the result. Returns the report (docs/formats.md). Error for tensors of
// types that hold no exact zero or cannot be written, and for what prune_layers() refuses.
Result<nlohmann::json> prune_matrices(const PruneOptions& options, const Progress& progress);

}  // namespace edgellm
