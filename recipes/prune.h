// edgellm prune: a model with layers, channels or weights left out, and what that costs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "recipes/text_source.h"

namespace edgellm {

enum class PruneMethod { block_influence, kl, replace_me, ffn_width, magnitude, wanda, sparsegpt };
std::string_view to_string(PruneMethod method);  // as on the command line: "block-influence"
Result<PruneMethod> parse_prune_method(std::string_view name);
// Whether it takes single weights out, which no block format of GGUF stores in fewer bytes.
bool prunes_single_weights(PruneMethod method);
// Whether it is computed with LibTorch (recipes/compress/prune_matrices.h).
bool needs_torch(PruneMethod method);

struct PruneOptions {
  std::filesystem::path model;   // GGUF file
  std::filesystem::path output;  // may be empty in a dry run
  PruneMethod method = PruneMethod::block_influence;
  double fraction = 0.25;  // of the layers, of the channels, of the weights of each matrix
  // Of every n_group neighbouring weights of a row n_kept stay; 0: as many of each row as the fraction says.
  uint32_t n_kept = 0, n_group = 0;
  bool halves = false;                // kl: attention and feed-forward parts go on their own too
  std::vector<TextSource> calibrate;  // empty: drawn from the model
  size_t n_threads = 0;
  bool dry_run = false;  // chooses and judges, where that needs no file, and writes nothing
};

// Leaves out whole layers (block_influence, kl) or their halves, and writes the rest; other methods are those
// of prune_matrices(). The fraction is of the number of layers, with halves of the bytes of all layers.
// Returns the report (docs/methods.md). Error for a family whose layers cannot be left out, text that is too
// short, an output that is the model.
Result<nlohmann::json> prune_layers(const PruneOptions& options, const Progress& progress);

}  // namespace edgellm
