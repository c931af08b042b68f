// The inner loops of the codebook encoders (IQ1, IQ2, IQ3): the nearest codeword of groups of eight values at
// a given scale, of all there are (costs are compared to a part in 2^16). As in grid_fit.h every lane of a
// vector is a sub-block, so that no sum crosses lanes and the result is the same, bit for bit, on every
// instruction set.
//
// The cost of a codeword is the sum of weight * (value - scale * level)^2. It is split in two halves: the
// costs of all patterns of levels a half can have are tabled, and codewords that share their first half (a
// run) are searched together, the least cost of their second halves plus the cost of the first. Where the
// number of minus signs must be even and the values' own number is odd, one value takes the wrong sign, which
// costs 4 * weight * |value| * scale * level more; a second table has each pattern with its cheapest such
// value, and the search is over both.
#pragma once

#include <cstdint>
#include <vector>

#include "core/blocks/grid_fit.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

// What is stored of eight values besides their scale.
struct GroupCode {
  uint16_t indices[2];  // of the codebook; IQ3 has one for each four values, the others only the first
  uint8_t signs;        // bit i: value i is negative; all of them, also where seven bits are stored
  bool shift_is_down;   // IQ1 alone: levels lie an eighth lower instead of higher
};

// A codebook in the order it is searched in: runs of entries that share their first half, by length, so that
// a loop over a run ends where the last one ended and is foretold rightly. Patterns are kept times four.
struct Codebook {
  enum class Kind : uint8_t { iq1, iq2, iq3 };
  struct Runs {
    int n, n_pairs;  // n runs of n_pairs pairs of entries; the last entry of an odd run is there twice
  };
  Kind kind;
  bool even_signs;  // the number of minus signs of eight values is even
  float levels[8];
  std::vector<Runs> runs;
  std::vector<uint16_t> firsts;     // [number of runs]: pattern of the first half
  std::vector<uint16_t> seconds;    // [entries]: pattern of the second half
  int n_patterns;                   // of a half
  std::vector<uint16_t> index_of;   // [pattern of the first half, of the second]: index in the codebook
  std::vector<float> entry_levels;  // [index, 8 or 4]: levels without sign and shift
  float spread;                     // root of the mean of their squares
};
// For IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S.
const Codebook& codebook(TensorType type);

// Each sub-block's groups at their nearest codewords. The caller points at room.
struct RoundedGroups {
  GroupCode* codes;  // [n_values / 8, n_sub_blocks]
  float* levels;     // [n_values, n_sub_blocks]: the decoded value is scale * level
  float* error;      // [n_sub_blocks]: sum of weight * (value - scale * level)^2
  float* product;    // [n_sub_blocks]: sum of weight * value * level
  float* curvature;  // [n_sub_blocks]: sum of weight * level^2
};

// What roundings at various scales left: for those codes the error at a scale s is energy - 2 s product + s^2
// curvature, so that together they bound the error of rounding at any scale from above.
inline constexpr int kMaxRoundings = 24;
struct Roundings {
  int n = 0, n_sub_blocks = 0;
  float energy[kMaxSubBlocks];  // sum of weight * value^2
  float product[kMaxRoundings * kMaxSubBlocks],
      curvature[kMaxRoundings * kMaxSubBlocks];  // [n, n_sub_blocks]
};

// Of each sub-block the best scale (integer + 1/2) * step by that bound, integers from 0 to high.
struct PredictedIntegers {
  float integer[kMaxSubBlocks], error[kMaxSubBlocks];
};

struct CodebookFit {
  const char* name;  // "generic", "avx2", "avx512"
  // blocks.n_values is a multiple of 8. scale: [n_sub_blocks]. shift: [n_sub_blocks], of 1/8 or -1/8, where a
  // sub-block has one shift (IQ1_S); null where every group chooses its own (IQ1_M) or has none.
  void (*round)(const Codebook& book, const SubBlocks& blocks, const float* scale, const float* shift,
                const RoundedGroups& rounded);
  // Of the three integers around the best scale there is.
  void (*predict)(const Roundings& roundings, float step, float high, PredictedIntegers& predicted);
};

// The widest the machine has.
const CodebookFit& codebook_fit();
// Null when the machine has no such instruction set.
const CodebookFit* find_codebook_fit(const char* name);

}  // namespace edgellm
