// block_rounding.h's solver for the codebook formats (IQ1, IQ2, IQ3), whose values are rounded by groups of
// eight: a group's codeword is chosen for the error of all eight at once.
//
// The error of a group with what it would take unrounded, r, is r M r^T, M the group's part of (I + F) D (I +
// F)^T. Codewords are searched for weighted squares alone (codebook_fit.h), so M is bounded: with B diagonal,
// B - M positive semidefinite, r M r^T <= what it is for another codeword plus a sum of weighted squares
// around q + (r M) / B, which touches it at that codeword. Searching there never raises the error
// (majorization and minimization, Hunter and Lange 2004); the first codeword is the one that is best by the
// diagonal of M.
#pragma once

#include "core/blocks/block_rounding.h"
#include "core/blocks/codebook_panel.h"

namespace edgellm {

// Of GridTrials only n_scales counts: stored whole numbers tried on either side. begin and end are multiples
// of kRowStep.
struct CodebookRounding {
  const char* name;  // "generic", "avx2", "avx512"

  // As BlockRounding's, with the panel as the one block: scales are fitted before, and no later column is
  // left to feed.
  void (*round)(CodebookPanel& panel, const PanelFeedback& feedback, const GridTrials& trials,
                const float* values, const float* targets, float* errors, size_t stride, size_t begin,
                size_t end);

  // As BlockRounding's, by groups where that one takes single levels. Every pass ends with the block's scale,
  // set to where the error is least with everything else as it is.
  void (*improve)(CodebookPanel& panel, const PanelCurvature& curvature, const GridTrials& trials,
                  int n_passes, const float* gradients, float* errors, size_t stride, size_t begin,
                  size_t end);
};

// The widest the machine has.
const CodebookRounding& codebook_rounding();
// Null when the machine has no such instruction set.
const CodebookRounding* find_codebook_rounding(const char* name);

}  // namespace edgellm
