// The inner loops of every encoder: how well candidate grids fit runs of values. Every lane of a vector is a
// candidate (one run of values) or a sub-block (one super-block), so no sum crosses lanes and the result is
// the same, bit for bit, on every instruction set.
#pragma once

#include <cstddef>

namespace edgellm {

// Candidate counts are multiples of this; pad by repeating a candidate.
inline constexpr int kCandidateStep = 16;
inline constexpr int kMaxCandidates = 128;
inline constexpr int kMaxSubBlocks = 16;

// The levels a code can take, and which scales to try.
struct Levels {
  bool iq4;  // the uneven levels of IQ4 instead of whole numbers from low to high
  float low, high;
  const float* targets;  // [n_targets]: the scales tried put the value of largest magnitude at one of these
  int n_targets;         // a multiple of 4; of each four only the best is refitted again
};

// Of each candidate c: weighted squared error of the values rounded to its grid, and the least-squares scale
// for those same codes with the error it would have.
struct ScaleFit {
  float error[kMaxCandidates];
  float refit_scale[kMaxCandidates];
  float refit_error[kMaxCandidates];
};

// Grid scale * code - min.
struct ScaleMinFit {
  float error[kMaxCandidates];
  float refit_scale[kMaxCandidates];
  float refit_min[kMaxCandidates];
  float refit_error[kMaxCandidates];
};

// A super-block, value i of sub-block s at [i, s].
struct SubBlocks {
  const float *values, *weights;  // [n_values, n_sub_blocks]
  int n_values, n_sub_blocks;     // n_sub_blocks: 8 or 16
};

// Each sub-block's best scale, its super-block's format aside.
struct FittedScales {
  float scale[kMaxSubBlocks];
  float curvature[kMaxSubBlocks];  // sum of weight * code^2
};

// Each sub-block's best integer under a super-block scale.
struct TriedScale {
  float integer[kMaxSubBlocks];
  float error[kMaxSubBlocks];
  float slope[kMaxSubBlocks];  // sum of weight * rest * code
  float curvature[kMaxSubBlocks];
};

struct FittedScalesAndMins {
  float scale[kMaxSubBlocks], min[kMaxSubBlocks];
  float curvature[kMaxSubBlocks];  // sum of weight * code^2
  float sum_codes[kMaxSubBlocks];  // sum of weight * code
  float sum_weights[kMaxSubBlocks];
  float error[kMaxSubBlocks];  // sum of weight * rest^2
};

struct TriedScaleAndMin {
  float scale_integer[kMaxSubBlocks], min_integer[kMaxSubBlocks];
  float error[kMaxSubBlocks];
  float sum_rests[kMaxSubBlocks];  // sum of weight * rest
  float slope[kMaxSubBlocks], curvature[kMaxSubBlocks], sum_codes[kMaxSubBlocks];
};

// Candidate grids over a range of values: how many steps it is cut into, and how many of those the grid's
// first level lies above the range's start. The shifts of one step count are refitted once, from their best.
struct RangeCuts {
  int n_steps, n_shifts;
  float first_steps, step_of_steps, first_shift, step_of_shifts;
};

struct GridFit {
  const char* name;  // "generic", "avx2", "avx512"
  void (*scales)(const float* values, const float* weights, int n_values, const Levels& levels,
                 const float* scales, int n_candidates, ScaleFit& fit);
  // Codes are whole numbers from 0 to high.
  void (*scales_and_mins)(const float* values, const float* weights, int n_values, float high,
                          const float* scales, const float* mins, int n_candidates, ScaleMinFit& fit);
  void (*fit_sub_blocks)(const SubBlocks& blocks, const Levels& levels, FittedScales& fitted);
  // Of the n_integers around each fitted scale, within [low, high].
  void (*try_scale)(const SubBlocks& blocks, const Levels& levels, const FittedScales& fitted, float scale,
                    float low, float high, int n_integers, TriedScale& tried);
  // Minima stay >= 0.
  void (*fit_sub_blocks_with_min)(const SubBlocks& blocks, float code_high, const RangeCuts& cuts,
                                  FittedScalesAndMins& fitted);
  // Of the n_scales by n_mins around each fitted grid; with n_shifts = 3 also around the grid one code up and
  // down.
  void (*try_scale_and_min)(const SubBlocks& blocks, float code_high, const FittedScalesAndMins& fitted,
                            float scale, float min, float high, int n_scales, int n_mins, int n_shifts,
                            TriedScaleAndMin& tried);
};

// The widest the machine has.
const GridFit& grid_fit();
// Null when the machine has no such instruction set.
const GridFit* find_grid_fit(const char* name);

}  // namespace edgellm
