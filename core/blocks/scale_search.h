// The search for scales and minima that all encoders share. It looks for the grid of least weighted squared
// error:
//   1. sub-block by sub-block, many candidate grids, each followed by least-squares refits with the codes
//   fixed;
//   2. for the super-block, candidate scales under which the found sub-scales round best, in the quadratic
//   model
//      around them, and the true error of the few best of those with the neighbouring small integers tried;
//   3. least squares for the super-block's scale with all integers fixed, and 2 again around it, while it
//   gains.
// llama.cpp stops after rounding the sub-scales; steps 2 and 3 are what wins at two and three bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/float16.h"
#include "core/blocks/grid_fit.h"

namespace edgellm {

// Importance of a row as weights around 1. A value of no importance keeps a tiny weight, so that it is still
// rounded sensibly. Null, all-zero or unusable importance: all ones.
class RowWeights {
 public:
  RowWeights(const float* importance, size_t n_values);
  void copy(size_t begin, int n_values, float* weights) const;
  bool are_even() const { return factor_ == 0; }

 private:
  const float* importance_;
  float factor_ = 0;
};

// Whole numbers -2^(n_bits-1) .. 2^(n_bits-1) - 1, or for 8 bits -127 .. 127.
const Levels& whole_levels(int n_bits);
template <int n_bits>
const Levels& signed_levels() {
  return whole_levels(n_bits);
}
const Levels& iq4_levels();
// Whole numbers 0 .. high, of grids with a minimum.
template <int high>
const Levels& codes_to() {
  static constexpr Levels kLevels = {false, 0, float(high), nullptr, 0};
  return kLevels;
}

// Nearest half float, kept finite.
uint16_t finite_half(float value);
inline float half_value(float value) {
  return float_from_half(finite_half(value));
}

// The index of the least of n.
inline int best_of(const float* errors, int n) {
  int best = 0;
  for (int c = 1; c < n; ++c)
    if (errors[c] < errors[best]) best = c;
  return best;
}

// Half floats: the best scale for each of up to 16 runs of 32 values. values, weights: [n_runs, 32].
inline constexpr int kMaxRuns = kMaxSubBlocks;
void find_scales(const Levels& levels, const float* values, const float* weights, int n_runs,
                 uint16_t* scales);

struct ScaleAndMin {
  uint16_t scale, min;  // value = scale * code + min
};
ScaleAndMin find_scale_and_min(float high, const float* values, const float* weights, int n_values);

// [n_rows, n_columns] to [n_columns, n_rows].
void transpose(const float* from, int n_rows, int n_columns, float* to);

struct SubScales {
  uint16_t scale;
  int scales[kMaxSubBlocks];
};
// values, weights: [n_sub_blocks, n_values]; the integers lie in [low, high].
SubScales find_sub_scales(const Levels& levels, const float* values, const float* weights, int n_sub_blocks,
                          int n_values, int low, int high);

struct SubScalesAndMins {
  float error;
  bool is_turned;  // they are those of the values' negatives
  uint16_t scale, min;
  int scales[kMaxSubBlocks], mins[kMaxSubBlocks];
};
// Codes lie in [0, code_high], the integers of scales and mins in [0, high]. tries_turned (of two-bit codes):
// the values' negatives too, and gives the better of both.
SubScalesAndMins find_sub_scales_and_mins(int code_high, const float* values, const float* weights,
                                          int n_sub_blocks, int n_values, int high,
                                          bool tries_turned = false);

// Codes of values under scale * code - min, as the search rounded them; code - low is what is stored.
void round_codes(const float* values, int n_values, float scale, float min, int low, int high,
                 uint8_t* stored);
void round_iq4_codes(const float* values, int n_values, float scale, uint8_t* stored);

}  // namespace edgellm
