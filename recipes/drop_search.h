// Which layers, or halves of layers, can be left out with the least harm, by measured KL to the original.
#pragma once

#include <vector>

#include "core/base/progress.h"
#include "evaluate/divergence.h"
#include "runtime/decode/runtime_language_model.h"

namespace edgellm {

// What is left out or kept as one: a layer, its attention or its feed-forward part.
struct DropUnit {
  uint32_t layer = 0;
  bool attention = true, ffn = true;
  double weight = 1;     // what leaving it out counts towards the target: 1, or its bytes
  double influence = 0;  // those of the least are asked first
};

struct DropSearchInput {
  std::vector<DropUnit> units;
  double target = 0;                           // of the weights left out together
  TextWindows little_text, all_text;           // little_text is the beginning of all_text
  const ReferenceLogits* reference = nullptr;  // the original's, on all_text
  size_t n_candidates = 8;                     // units of least influence that are tried at each step
  size_t n_exchanges = 4;                      // kept units that each dropped one is tried against; 0: none
};

struct DropSearchResult {
  std::vector<size_t> dropped;  // indexes of units, in the order they were chosen
  double kl = 0;                // mean, on all_text
};

// As EvoPress (arXiv 2410.14649) found, KL of the whole model finds better sets than any score of single
// layers. First greedy: of the units of least influence, the one whose loss adds the least KL for its weight,
// on the little text, until the target is reached. Then exchanges, on all of it: each unit that was dropped
// first is put back for a kept one where that measures better. The model is left with the units dropped.
Result<DropSearchResult> search_drops(RuntimeLanguageModel& model, const DropSearchInput& input,
                                      const Progress& progress);

// Leaves out just these units from now on.
void apply_drops(Decoder& decoder, const std::vector<DropUnit>& units, const std::vector<size_t>& dropped);

}  // namespace edgellm
