// Rounding the values of a block with the errors fed back, for many rows at once; and improving what was
// rounded. Rows are the lanes of vectors and no sum crosses lanes: every instruction set gives the same bits.
//
// All of it lowers a quadratic error e H e^T of each row, e = values - decoded, with H symmetric and positive
// definite. With H = (I + F) D (I + F)^T, F strictly upper triangular, D diagonal,
//   e H e^T = sum over k of D[k] * (target[k] - decoded[k])^2,  target[k] = value[k] + sum over j < k of e[j]
//   * F[j, k],
// so that values rounded in order, each to the level nearest to its target, lose D[k] times the square of
// what rounding leaves (LDLQ of QuIP, arXiv 2307.13304; the same numbers as GPTQ, arXiv 2210.17323).
#pragma once

#include "core/blocks/block_panel.h"

namespace edgellm {

// Factors of the part of H that belongs to the columns of a panel.
struct PanelFeedback {
  const float* feedback;    // F: [n_values, n_values]
  const float* importance;  // D: [n_values]
};

// Which grids of a run are tried around the one it has: 2 * n_scales + 1 scales, `relative_step` apart (at
// least a step of the stored whole number), and for each 2 * n_mins + 1 minima, a stored step apart.
struct GridTrials {
  int n_scales = 0, n_mins = 0;
  float relative_step = 0.03f;
};

// The quadratic error of a panel with the other columns of the matrix as they are.
struct PanelCurvature {
  const float* curvature;  // H of the panel's columns: [n_values, n_values]
  // Of the runs, one after another: the factors of their part of H, each [n_run_values, n_run_values] and
  // [n_run_values], and its inverse, [n_run_values, n_run_values].
  const float *run_feedback, *run_importance, *run_inverse;
};

// The columns of a block in its panel.
struct PanelColumns {
  size_t n_panel, first, n;
};

struct BlockRounding {
  const char* name;  // "generic", "avx2", "avx512"

  // The values that a block would take in rows [begin, end) without rounding, to make up for the errors of
  // earlier columns: what its scales are fitted to. values, targets: [n_values of the panel, stride], targets
  // with the feedback of all columns before the block. kept: as BlockPanel's, or null for an empty one; what
  // is not kept is zero in `values` and in `compensated`, [n_values of the block, end - begin].
  void (*compensate)(const PanelColumns& block, const PanelFeedback& feedback, const float* values,
                     const float* targets, const int8_t* kept, size_t stride, size_t begin, size_t end,
                     float* compensated);

  // Rounds rows [begin, end) of a block whose scales are fitted, in order; where `trials` allow, a run takes
  // the grid around its own of least error when its first value is reached. values, targets, errors:
  // [n_values of the panel, stride]. targets hold the feedback of earlier columns, and get that of this block
  // for later ones. errors: values - decoded.
  void (*round)(BlockPanel& panel, size_t block, const PanelFeedback& feedback, const GridTrials& trials,
                const float* values, float* targets, float* errors, size_t stride, size_t begin, size_t end);

  // Lowers the error of rounded rows further. Of each run in turn: the trials' grids, rounded anew with
  // feedback, then single levels to where the error is least, while the rest of the row stays; what does not
  // lower the error is not taken. gradients: [n_values, stride], errors of the whole row times H's columns.
  // errors are brought up to date.
  void (*improve)(BlockPanel& panel, const PanelCurvature& curvature, const GridTrials& trials, int n_passes,
                  const float* gradients, float* errors, size_t stride, size_t begin, size_t end);
};

// The widest the machine has.
const BlockRounding& block_rounding();
// Null when the machine has no such instruction set.
const BlockRounding* find_block_rounding(const char* name);

}  // namespace edgellm
