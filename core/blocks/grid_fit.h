// The inner loop of every encoder: how well each of many candidate grids fits a run of values. Candidates lie
// across the lanes of a vector, so no sum ever crosses lanes and the result is the same, bit for bit, on
// every instruction set.
#pragma once

#include <cstddef>

namespace edgellm {

// Candidate counts are multiples of this; pad by repeating a candidate.
inline constexpr int kCandidateStep = 16;
inline constexpr int kMaxCandidates = 128;

// Of each candidate c: weighted squared error of the values rounded to its grid, and the least-squares scale
// for those same codes with the error it would have.
struct ScaleFit {
  float error[kMaxCandidates];
  float refit_scale[kMaxCandidates];
  float refit_error[kMaxCandidates];
  float slope[kMaxCandidates];      // sum of weight * rest * code
  float curvature[kMaxCandidates];  // sum of weight * code^2
};

// Grid scale * code - min; the refit keeps min >= 0.
struct ScaleMinFit {
  float error[kMaxCandidates];
  float refit_scale[kMaxCandidates];
  float refit_min[kMaxCandidates];
  float refit_error[kMaxCandidates];
  float rests[kMaxCandidates];      // sum of weight * rest
  float slope[kMaxCandidates];      // sum of weight * rest * code
  float codes[kMaxCandidates];      // sum of weight * code
  float curvature[kMaxCandidates];  // sum of weight * code^2
};

struct GridFit {
  const char* name;  // "generic", "avx2", "avx512"
  // Codes are whole numbers from low to high.
  void (*scales)(const float* values, const float* weights, int n_values, float low, float high,
                 const float* scales, int n_candidates, ScaleFit& fit);
  // Codes are the sixteen levels of IQ4.
  void (*iq4_scales)(const float* values, const float* weights, int n_values, const float* scales,
                     int n_candidates, ScaleFit& fit);
  // Codes are whole numbers from 0 to high.
  void (*scales_and_mins)(const float* values, const float* weights, int n_values, float high,
                          const float* scales, const float* mins, int n_candidates, ScaleMinFit& fit);
};

// The widest the machine has.
const GridFit& grid_fit();
// Null when the machine has no such instruction set.
const GridFit* find_grid_fit(const char* name);

}  // namespace edgellm
