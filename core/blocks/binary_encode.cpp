// Four levels leave so few ways to round a block that the best of all is found. For a positive scale s the
// code of a value x is 0, and as s falls it becomes 1 or -1 at s = 2 |x|, and 2 at s = |x| / 1.5 where x is
// positive. In between the codes q are fixed, and least squares gives s = a / b and an error less by a^2 / b,
// with a = sum(w x q) and b = sum(w q^2). So one pass over the values by magnitude meets every rounding that
// is nearest for some scale; a negative scale is the same pass with the signs changed.
#include <cmath>
#include <cstring>

#include "core/blocks/binary.h"
#include "core/blocks/block_grid.h"
#include "core/blocks/scale_search.h"

namespace edgellm {
namespace {

constexpr int kValues = int(BlockQ2_0::n_values);

// A block by falling magnitude; magnitude -1 ends it.
struct SortedBlock {
  float magnitudes[kValues + 1], weights[kValues + 1];
  bool negative[kValues + 1];
};

// What is no number counts as zero, infinity as the largest number.
float usable_magnitude(float value) {
  float magnitude = std::fabs(value);
  return magnitude <= 3.0e38f ? magnitude : magnitude > 3.0e38f ? 3.0e38f : 0.0f;
}

// Every value's place is the number of values before it: no branch depends on the values.
void sort_by_magnitude(const float* values, const float* weights, SortedBlock& sorted) {
  float magnitudes[kValues];
  for (int i = 0; i < kValues; ++i) magnitudes[i] = usable_magnitude(values[i]);
  int32_t keys[kValues], places[kValues] = {};
  std::memcpy(keys, magnitudes, sizeof(keys));  // as integers, floats from zero up have the same order
  for (int j = 0; j < kValues; ++j) {
    for (int i = 0; i < j; ++i) places[i] += keys[j] > keys[i];
    for (int i = j + 1; i < kValues; ++i) places[i] += keys[j] >= keys[i];
  }
  for (int i = 0; i < kValues; ++i) {
    sorted.magnitudes[places[i]] = magnitudes[i];
    sorted.weights[places[i]] = weights[i];
    sorted.negative[places[i]] = std::signbit(values[i]);
  }
  sorted.magnitudes[kValues] = -1, sorted.weights[kValues] = 0;
}

struct FittedScale {
  double scale, gain;  // gain: how much less the error is than with all codes zero
};

// The best of the scales of one sign: values of that sign reach level 2, the others level -1.
FittedScale best_scale(const SortedBlock& sorted, bool negative) {
  float doubled[kValues + 1], doubled_weights[kValues + 1];
  int n_doubled = 0;
  for (int i = 0; i < kValues; ++i) {
    doubled[n_doubled] = sorted.magnitudes[i];
    doubled_weights[n_doubled] = sorted.weights[i];
    n_doubled += sorted.negative[i] == negative;
  }
  // Below every 3 * magnitude, the one that ends the block included.
  doubled[n_doubled] = -4, doubled_weights[n_doubled] = 0;
  double a = 0, b = 0, best_a = 0, best_b = 1;
  for (int i = 0, k = 0; i + k < kValues + n_doubled;) {
    bool is_second = doubled[k] > 3 * sorted.magnitudes[i];
    double weight = double(is_second ? doubled_weights[k] : sorted.weights[i]);
    a += weight * double(is_second ? doubled[k] : sorted.magnitudes[i]);
    b += is_second ? 3 * weight : weight;
    k += is_second;
    i += !is_second;
    bool is_better = a * a * best_b > best_a * best_a * b;
    best_a = is_better ? a : best_a;
    best_b = is_better ? b : best_b;
  }
  return {(negative ? -best_a : best_a) / best_b, best_a * best_a / best_b};
}

void fit_q2_0(const float* values, const float* weights, int n_blocks, bool, GridBlock* blocks) {
  for (int b = 0; b < n_blocks; ++b, values += kValues, weights += kValues, ++blocks) {
    SortedBlock sorted;
    sort_by_magnitude(values, weights, sorted);
    FittedScale positive = best_scale(sorted, false), negative = best_scale(sorted, true);
    blocks->scale = finite_half(float(negative.gain > positive.gain ? negative.scale : positive.scale));
    blocks->min = 0;
  }
}

void pack_q2_0(const GridBlock& from, void* bytes) {
  BlockQ2_0 block;
  block.scale = from.scale;
  for (int i = 0; i < kValues / 4; ++i)
    block.codes[i] = uint8_t(from.codes[4 * i] | from.codes[4 * i + 1] << 2 | from.codes[4 * i + 2] << 4 |
                             from.codes[4 * i + 3] << 6);
  std::memcpy(bytes, &block, sizeof(block));
}

void unpack_q2_0(const void* bytes, GridBlock& to) {
  BlockQ2_0 block;
  std::memcpy(&block, bytes, sizeof(block));
  to = {.scale = block.scale, .min = 0, .run_scales = {}, .run_mins = {}, .codes = {}};
  for (int i = 0; i < kValues; ++i) to.codes[i] = block.codes[i / 4] >> (2 * (i % 4)) & 3;
}

const Levels& levels_of_q2_0() {
  static constexpr Levels kLevels = {false, -1, 2, nullptr, 0};
  return kLevels;
}

}  // namespace

const BlockGrid kQ2_0Grid = {TensorType::Q2_0,      64,       64,        levels_of_q2_0, 0, 0, 0,
                             BlockGrid::Min::kNone, fit_q2_0, pack_q2_0, unpack_q2_0};

void encode_q2_0(const float* values, const float* importance, void* blocks, size_t n_values) {
  encode_on_grid(kQ2_0Grid, values, importance, blocks, n_values);
}

}  // namespace edgellm
