#include "core/blocks/codebook_grid.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "core/blocks/scale_search.h"

namespace edgellm {
namespace {

using enum TensorType;
constexpr CodebookGrid kGrids[] = {
    {IQ2_XXS, 8, 15, 0.25f, false, 6, 0.7f, 1.18f}, {IQ2_XS, 16, 15, 0.25f, false, 6, 0.7f, 1.18f},
    {IQ2_S, 16, 15, 0.25f, false, 6, 0.7f, 1.18f},  {IQ3_XXS, 8, 15, 0.5f, false, 10, 0.85f, 1.106f},
    {IQ3_S, 8, 15, 2.0f, false, 10, 0.85f, 1.106f}, {IQ1_S, 8, 7, 2.0f, true, 3, 0.85f, 1.35f},
    {IQ1_M, 16, 7, 2.0f, false, 3, 0.85f, 1.35f}};

constexpr int kBlockScales = 64, kMostRefits = 3;

// A scale of the block with the best integers found for it.
struct BlockScale {
  float scale = 0, error = 3.0e38f;
  float refitted = 0;  // least squares with integers and codes fixed
  float integers[kMaxSubBlocks] = {};
  bool shift_is_down[kMaxSubBlocks] = {};
};

class ScaleSearch {
 public:
  ScaleSearch(const CodebookGrid& grid, const float* values, const float* weights)
      : grid_(grid), book_(codebook(grid.type)), n_(grid.n_sub_blocks) {
    transpose(values, n_, 256 / n_, values_);
    transpose(weights, n_, 256 / n_, weights_);
    blocks_ = {values_, weights_, 256 / n_, n_};
    roundings_.n_sub_blocks = n_;
    for (int sub = 0; sub < n_; ++sub) {
      float energy = 0, all_weights = 0;
      for (int i = 0; i < blocks_.n_values; ++i) {
        float x = values_[i * n_ + sub], w = weights_[i * n_ + sub];
        energy += w * x * x, all_weights += w;
      }
      roundings_.energy[sub] = energy;
      spread_[sub] = std::sqrt(energy / all_weights);
    }
  }

  CodebookScales find() {
    fit_sub_blocks();
    float largest = 0;
    for (int sub = 0; sub < n_; ++sub) largest = std::max(largest, best_scale(sub));
    CodebookScales found;
    if (!(largest > 0)) return found;
    BlockScale best = try_scale(predicted_scale(largest));
    for (int refit = 0; refit < kMostRefits; ++refit) {
      BlockScale tried = try_scale(half_value(best.refitted));
      if (!(tried.error < best.error)) break;
      best = tried;
    }
    found.scale = finite_half(best.scale);
    for (int sub = 0; sub < n_; ++sub) {
      found.integers[sub] = uint8_t(best.integers[sub]);
      found.shift_is_down[sub] = best.shift_is_down[sub];
    }
    return found;
  }

 private:
  struct Rounded {
    GroupCode codes[32];
    float levels[256], error[kMaxSubBlocks], product[kMaxSubBlocks], curvature[kMaxSubBlocks];
    bool shift_is_down[kMaxSubBlocks] = {};
  };

  void round(const float* scales, const float* shifts, Rounded& rounded) {
    codebook_fit().round(book_, blocks_, scales, shifts,
                         {rounded.codes, rounded.levels, rounded.error, rounded.product, rounded.curvature});
    assert(roundings_.n < kMaxRoundings);
    size_t n_bytes = sizeof(float) * size_t(n_);
    std::memcpy(roundings_.product + roundings_.n * n_, rounded.product, n_bytes);
    std::memcpy(roundings_.curvature + roundings_.n * n_, rounded.curvature, n_bytes);
    ++roundings_.n;
  }

  // Every sub-block at its scale, and at the better shift where it has one.
  void round(const float* scales, Rounded& rounded) {
    if (!grid_.shifts_sub_blocks) return round(scales, nullptr, rounded);
    float shifts[kMaxSubBlocks];
    Rounded down;
    std::fill_n(shifts, n_, 0.125f);
    round(scales, shifts, rounded);
    std::fill_n(shifts, n_, -0.125f);
    round(scales, shifts, down);
    for (int sub = 0; sub < n_; ++sub) {
      rounded.shift_is_down[sub] = down.error[sub] < rounded.error[sub];
      if (!rounded.shift_is_down[sub]) continue;
      rounded.error[sub] = down.error[sub], rounded.product[sub] = down.product[sub];
      rounded.curvature[sub] = down.curvature[sub];
    }
  }

  // The least-squares scale of the best codes so far.
  float best_scale(int sub) const {
    float most = 0, scale = 0;
    for (int k = 0; k < roundings_.n; ++k) {
      float product = roundings_.product[k * n_ + sub], curvature = roundings_.curvature[k * n_ + sub];
      if (curvature > 0 && product > 0 && product * product > most * curvature)
        most = product * product / curvature, scale = product / curvature;
    }
    return scale;
  }

  void fit_sub_blocks() {
    Rounded rounded;
    float scales[kMaxSubBlocks], factor = grid_.first / book_.spread;
    for (int k = 0; k < grid_.n_first; ++k, factor *= grid_.ratio) {
      for (int sub = 0; sub < n_; ++sub) scales[sub] = factor * spread_[sub];
      round(scales, rounded);
    }
    for (int sub = 0; sub < n_; ++sub) scales[sub] = best_scale(sub);
    round(scales, rounded);
  }

  // The block's scale of least error by what the roundings so far promise. Those come first that put the
  // largest sub-scale at an integer: values that already lie on a grid of this format are found exactly.
  float predicted_scale(float largest) const {
    float best = 0, least = 3.0e38f, high = float(grid_.highest_integer);
    for (int k = 0; k < kBlockScales; ++k) {
      int beyond = k - grid_.highest_integer - 1;
      float integer = beyond < 0 ? high - float(k)
                                 : high * (0.3f + 0.85f * float(beyond) / float(kBlockScales + beyond - k));
      float scale = half_value(largest / (grid_.step * (integer + 0.5f))), error = 0;
      PredictedIntegers predicted;
      codebook_fit().predict(roundings_, scale * grid_.step, high, predicted);
      for (int sub = 0; sub < n_; ++sub) error += predicted.error[sub];
      if (error < least) least = error, best = scale;
    }
    return best;
  }

  BlockScale try_scale(float scale) {
    BlockScale tried;
    tried.scale = tried.refitted = scale, tried.error = 0;
    float step = scale * grid_.step, scales[kMaxSubBlocks], slope = 0, all_curvature = 0;
    PredictedIntegers predicted;
    codebook_fit().predict(roundings_, step, float(grid_.highest_integer), predicted);
    for (int sub = 0; sub < n_; ++sub) scales[sub] = (predicted.integer[sub] + 0.5f) * step;
    Rounded rounded;
    round(scales, rounded);
    for (int sub = 0; sub < n_; ++sub) {
      float multiple = (predicted.integer[sub] + 0.5f) * grid_.step;
      tried.integers[sub] = predicted.integer[sub];
      tried.shift_is_down[sub] = rounded.shift_is_down[sub];
      tried.error += rounded.error[sub];
      slope += multiple * (rounded.product[sub] - scales[sub] * rounded.curvature[sub]);
      all_curvature += multiple * multiple * rounded.curvature[sub];
    }
    if (all_curvature > 0) tried.refitted += slope / all_curvature;
    return tried;
  }

  const CodebookGrid& grid_;
  const Codebook& book_;
  int n_;
  float values_[256], weights_[256], spread_[kMaxSubBlocks];
  SubBlocks blocks_;
  Roundings roundings_;
};

}  // namespace

const CodebookGrid* find_codebook_grid(TensorType type) {
  for (const CodebookGrid& grid : kGrids)
    if (grid.type == type) return &grid;
  return nullptr;
}

float CodebookScales::of(const CodebookGrid& grid, int sub) const {
  return float_from_half(scale) * (float(integers[sub]) + 0.5f) * grid.step;
}

CodebookScales find_codebook_scales(const CodebookGrid& grid, const float* values, const float* weights) {
  return ScaleSearch(grid, values, weights).find();
}

void round_codebook_groups(const CodebookGrid& grid, const float* values, const float* weights,
                           const float* scales, const float* shifts, int n_groups, GroupCode* codes,
                           float* levels) {
  float error[kMaxSubBlocks], product[kMaxSubBlocks], curvature[kMaxSubBlocks];
  codebook_fit().round(codebook(grid.type), {values, weights, 8, n_groups}, scales, shifts,
                       {codes, levels, error, product, curvature});
}

}  // namespace edgellm
