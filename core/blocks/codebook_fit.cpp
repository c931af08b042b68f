#include "core/blocks/codebook_fit.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "core/blocks/codebooks.h"
#include "core/blocks/lane_vectors.inl.h"

namespace edgellm {
namespace {

constexpr int kMaxLanes = kMaxSubBlocks;
constexpr float kNoCost = 3.0e38f, kLeastCost = 1e-30f;
constexpr int kTagBits = 127;  // for patterns, of which there are at most 81

// Levels a value can take and values in half an entry. A pattern is a number with a digit a value.
struct Iq2Halves {
  static constexpr int n_levels = 3, n_values = 4;
};
struct Iq3Halves {
  static constexpr int n_levels = 8, n_values = 2;
};

// Cost of every pattern of half an entry: [81 of IQ2, 64 of IQ3; lanes].
struct HalfCosts {
  alignas(64) float plain[81 * kMaxLanes], flipped[81 * kMaxLanes];
};

// Costs of one value at each level; extra: of the wrong sign.
template <class Vector, class Halves, bool kFlips>
struct ValueCosts {
  Vector plain[Halves::n_levels], extra[Halves::n_levels];

  EDGELLM_INLINE void fill(const Vector& value, const Vector& weight, const Vector* scaled_levels,
                           const Vector& flip_factor) {
#pragma GCC unroll 8
    for (int level = 0; level < Halves::n_levels; ++level) {
      Vector rest = value - scaled_levels[level];
      plain[level] = weight * rest * rest;
      if constexpr (kFlips) extra[level] = flip_factor * weight * value * scaled_levels[level];
    }
  }
};

template <class Vector>
EDGELLM_INLINE Vector least(const Vector& a, const Vector& b) {
  return a < b ? a : b;
}

// A cost with its pattern in the last bits, so that the least cost says which pattern it is of. That changes
// the cost by less than a part in 2^16; costs are kept away from zero, so that none is too small for a normal
// number.
template <class Vector>
EDGELLM_INLINE Vector tagged(const Vector& cost, int pattern) {
  using Bits = decltype(cost < cost);
  return (Vector)(((Bits)cost & ~kTagBits) | pattern);
}

template <class Vector>
EDGELLM_INLINE void store_tags(const Vector& cost, int32_t* tags) {
  using Bits = decltype(cost < cost);
  Bits bits = (Bits)cost & kTagBits;
  std::memcpy(tags, &bits, sizeof(bits));
}

// values: magnitudes, or for IQ1 the values themselves. flip_factor: 4, or 0 in lanes that need no flip. The
// costs of second halves are tagged.
template <class Vector, class Halves, bool kFlips, bool kTagged>
EDGELLM_INLINE void fill_half(const Vector* values, const Vector* weights, const Vector* scaled_levels,
                              const Vector& flip_factor, HalfCosts& costs) {
  constexpr int n = Halves::n_levels, kWidth = kLanes<Vector>;
  ValueCosts<Vector, Halves, kFlips> of[Halves::n_values];
  for (int i = 0; i < Halves::n_values; ++i) of[i].fill(values[i], weights[i], scaled_levels, flip_factor);
  auto keep = [&](int pattern, const Vector& plain, const Vector& extra) {
    store(costs.plain + pattern * kWidth, kTagged ? tagged(plain, pattern) : plain);
    if constexpr (kFlips) {
      Vector flipped = plain + extra;
      store(costs.flipped + pattern * kWidth, kTagged ? tagged(flipped, pattern) : flipped);
    }
  };
  if constexpr (Halves::n_values == 2) {
    for (int b = 0; b < n; ++b) {
      Vector second = of[1].plain[b] + kLeastCost;
      for (int a = 0; a < n; ++a) {
        Vector extra{};
        if constexpr (kFlips) extra = least(of[0].extra[a], of[1].extra[b]);
        keep(a + n * b, of[0].plain[a] + second, extra);
      }
    }
  } else {
    Vector low[n * n], low_extra[n * n];
    for (int ab = 0; ab < n * n; ++ab) {
      low[ab] = of[0].plain[ab % n] + of[1].plain[ab / n];
      if constexpr (kFlips) low_extra[ab] = least(of[0].extra[ab % n], of[1].extra[ab / n]);
    }
    for (int cd = 0; cd < n * n; ++cd) {
      Vector high = of[2].plain[cd % n] + of[3].plain[cd / n] + kLeastCost, high_extra{};
      if constexpr (kFlips) high_extra = least(of[2].extra[cd % n], of[3].extra[cd / n]);
      for (int ab = 0; ab < n * n; ++ab) {
        Vector extra{};
        if constexpr (kFlips) extra = least(low_extra[ab], high_extra);
        keep(ab + n * n * cd, low[ab] + high, extra);
      }
    }
  }
}

// The least cost of all codewords, the run it is in and the tagged cost of its second half.
template <class Vector>
struct LeastCost {
  Vector cost = Vector{} + kNoCost, run{}, second{};

  EDGELLM_INLINE void add(const Vector& of_run, const Vector& number, const Vector& of_second) {
    auto better = of_run < cost;
    cost = better ? of_run : cost;
    run = better ? number : run;
    second = better ? of_second : second;
  }
  template <class Mask>
  EDGELLM_INLINE void replace(const LeastCost& other, const Mask& where) {
    cost = where ? other.cost : cost;
    run = where ? other.run : run;
    second = where ? other.second : second;
  }
};

// A lane's codeword.
template <class Vector>
struct FoundEntries {
  float run[kLanes<Vector>];
  int32_t second[kLanes<Vector>];

  EDGELLM_INLINE explicit FoundEntries(const LeastCost<Vector>& found) {
    store(run, found.run);
    store_tags(found.second, second);
  }
  EDGELLM_INLINE int index(const Codebook& book, int lane) const {
    return book.index_of[size_t(book.firsts[size_t(run[lane])] / 4 * book.n_patterns + second[lane])];
  }
};

template <class Vector>
EDGELLM_INLINE void search_plain(const Codebook& book, const HalfCosts& first, const HalfCosts& second,
                                 LeastCost<Vector>& found) {
  constexpr size_t kStep = size_t(kLanes<Vector>) / 4;
  const uint16_t *firsts = book.firsts.data(), *entry = book.seconds.data();
  Vector number{};
  for (const Codebook::Runs& runs : book.runs)
    for (int r = 0; r < runs.n; ++r, ++firsts, number += 1.0f) {
      Vector low = Vector{} + kNoCost;
      for (int pair = 0; pair < runs.n_pairs; ++pair, entry += 2) {
        low = least(low, load<Vector>(second.plain + entry[0] * kStep));
        low = least(low, load<Vector>(second.plain + entry[1] * kStep));
      }
      found.add(load<Vector>(first.plain + *firsts * kStep) + low, number, low);
    }
}

// Also with a wrong sign in one half or the other; without one where `plain` is given.
template <class Vector>
EDGELLM_INLINE void search_flipped(const Codebook& book, const HalfCosts& first, const HalfCosts& second,
                                   LeastCost<Vector>* plain, LeastCost<Vector>& flipped) {
  constexpr size_t kStep = size_t(kLanes<Vector>) / 4;
  const uint16_t *firsts = book.firsts.data(), *entry = book.seconds.data();
  Vector number{};
  for (const Codebook::Runs& runs : book.runs)
    for (int r = 0; r < runs.n; ++r, ++firsts, number += 1.0f) {
      Vector low = Vector{} + kNoCost, low_flipped = low;
      for (int pair = 0; pair < runs.n_pairs; ++pair, entry += 2) {
        size_t a = entry[0] * kStep, b = entry[1] * kStep;
        low = least(low, load<Vector>(second.plain + a));
        low = least(low, load<Vector>(second.plain + b));
        low_flipped = least(low_flipped, load<Vector>(second.flipped + a));
        low_flipped = least(low_flipped, load<Vector>(second.flipped + b));
      }
      Vector of_first = load<Vector>(first.plain + *firsts * kStep);
      Vector flip_first = load<Vector>(first.flipped + *firsts * kStep) + low,
             flip_second = of_first + low_flipped;
      if (plain) plain->add(of_first + low, number, low);
      auto in_first = flip_first < flip_second;
      flipped.add(in_first ? flip_first : flip_second, number, in_first ? low : low_flipped);
    }
}

// Eight values a lane, and what is found for them.
template <class Vector>
struct Group {
  const float *values, *weights;  // [8, stride]
  int stride;
  Vector scale, shift;
  bool has_shift;    // given: it is not to be chosen
  GroupCode* codes;  // [lanes]
  float* levels;     // [8, stride]
};

// Magnitudes and signs of a group.
template <class Vector>
struct Signed {
  Vector magnitudes[8], weights[8], negative_bits{}, parity = Vector{} + 1.0f;

  EDGELLM_INLINE explicit Signed(const Group<Vector>& group) {
    Vector zero{};
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      Vector x = load<Vector>(group.values + i * group.stride);
      auto negative = x < zero;
      magnitudes[i] = negative ? -x : x;
      weights[i] = load<Vector>(group.weights + i * group.stride);
      parity = negative ? -parity : parity;
    }
  }
};

// Levels of a lane's codeword in memory, without signs.
EDGELLM_INLINE void copy_levels(const float* entry, int n_values, int lane, int stride, float* levels) {
  for (int i = 0; i < n_values; ++i) levels[i * stride + lane] = entry[i];
}

// Gives the levels their signs. An odd number of minus signs where it must be even is mended at the value
// that costs least.
template <class Vector, bool kEven>
EDGELLM_INLINE void apply_signs(const Group<Vector>& group, Signed<Vector>& of) {
  Vector zero{}, cheapest = zero - 1.0f, least_cost = zero + kNoCost;
  if constexpr (kEven) {
    auto odd = of.parity < zero;
    for (int i = 0; i < 8; ++i) {
      Vector cost = of.weights[i] * of.magnitudes[i] * load<Vector>(group.levels + i * group.stride);
      auto cheaper = cost < least_cost;
      least_cost = cheaper ? cost : least_cost;
      cheapest = cheaper ? zero + float(i) : cheapest;
    }
    cheapest = odd ? cheapest : zero - 1.0f;
  }
  float bit = 1;
  for (int i = 0; i < 8; ++i, bit *= 2) {
    Vector level = load<Vector>(group.levels + i * group.stride);
    Vector sign = load<Vector>(group.values + i * group.stride) < zero ? zero - 1.0f : zero + 1.0f;
    if constexpr (kEven) sign = cheapest == zero + float(i) ? -sign : sign;
    of.negative_bits += sign < zero ? zero + bit : zero;
    store(group.levels + i * group.stride, Vector(level * sign));
  }
  float bits[kLanes<Vector>];
  store(bits, of.negative_bits);
  for (int lane = 0; lane < kLanes<Vector>; ++lane) {
    group.codes[lane].signs = uint8_t(int(bits[lane]));
    group.codes[lane].shift_is_down = false;
  }
}

template <class Vector>
EDGELLM_INLINE void scale_levels(const Codebook& book, int n_levels, const Vector& scale, const Vector& shift,
                                 Vector* scaled) {
  for (int level = 0; level < n_levels; ++level) scaled[level] = scale * (book.levels[level] + shift);
}

struct RoundIq2 {
  template <class Vector, bool kEven>
  EDGELLM_INLINE static void round(const Codebook& book, const Group<Vector>& group) {
    constexpr int kWidth = kLanes<Vector>;
    Vector zero{}, scaled[3];
    scale_levels(book, 3, group.scale, zero, scaled);
    Signed<Vector> of(group);
    Vector flip_factor = of.parity < zero ? zero + 4.0f : zero;
    HalfCosts first, second;
    fill_half<Vector, Iq2Halves, kEven, false>(of.magnitudes, of.weights, scaled, flip_factor, first);
    fill_half<Vector, Iq2Halves, kEven, true>(of.magnitudes + 4, of.weights + 4, scaled, flip_factor, second);
    LeastCost<Vector> found;
    if constexpr (kEven)
      search_flipped<Vector>(book, first, second, nullptr, found);
    else
      search_plain(book, first, second, found);
    FoundEntries<Vector> entries(found);
    for (int lane = 0; lane < kWidth; ++lane) {
      int index = entries.index(book, lane);
      group.codes[lane].indices[0] = uint16_t(index), group.codes[lane].indices[1] = 0;
      copy_levels(book.entry_levels.data() + 8 * index, 8, lane, group.stride, group.levels);
    }
    apply_signs<Vector, kEven>(group, of);
  }
};

struct RoundIq3 {
  template <class Vector, bool kEven>
  EDGELLM_INLINE static void round(const Codebook& book, const Group<Vector>& group) {
    constexpr int kWidth = kLanes<Vector>;
    Vector zero{}, scaled[8];
    scale_levels(book, 8, group.scale, zero, scaled);
    Signed<Vector> of(group);
    HalfCosts costs[4];
    for (int half = 0; half < 4; half += 2) {
      fill_half<Vector, Iq3Halves, kEven, false>(of.magnitudes + 2 * half, of.weights + 2 * half, scaled,
                                                 zero + 4.0f, costs[half]);
      fill_half<Vector, Iq3Halves, kEven, true>(of.magnitudes + 2 * half + 2, of.weights + 2 * half + 2,
                                                scaled, zero + 4.0f, costs[half + 1]);
    }
    LeastCost<Vector> plain[2], flipped[2];
    for (int four = 0; four < 2; ++four)
      if constexpr (kEven)
        search_flipped(book, costs[2 * four], costs[2 * four + 1], &plain[four], flipped[four]);
      else
        search_plain(book, costs[2 * four], costs[2 * four + 1], plain[four]);
    if constexpr (kEven) {
      // Of an odd group one of the fours takes the wrong sign.
      auto odd = of.parity < zero;
      auto in_first = flipped[0].cost + plain[1].cost < plain[0].cost + flipped[1].cost;
      plain[0].replace(flipped[0], odd & in_first);
      plain[1].replace(flipped[1], odd & ~in_first);
    }
    for (int four = 0; four < 2; ++four) {
      FoundEntries<Vector> entries(plain[four]);
      for (int lane = 0; lane < kWidth; ++lane) {
        int index = entries.index(book, lane);
        group.codes[lane].indices[four] = uint16_t(index);
        copy_levels(book.entry_levels.data() + 4 * index, 4, lane, group.stride,
                    group.levels + 4 * four * group.stride);
      }
    }
    apply_signs<Vector, kEven>(group, of);
  }
};

struct RoundIq1 {
  template <class Vector, bool kEven>
  EDGELLM_INLINE static void round(const Codebook& book, const Group<Vector>& group) {
    constexpr int kWidth = kLanes<Vector>;
    Vector zero{}, scaled[3], values[8], weights[8];
    for (int i = 0; i < 8; ++i) {
      values[i] = load<Vector>(group.values + i * group.stride);
      weights[i] = load<Vector>(group.weights + i * group.stride);
    }
    HalfCosts first, second;
    LeastCost<Vector> found;
    Vector shift = group.shift;
    for (float tried : {0.125f, -0.125f}) {
      Vector tried_shift = group.has_shift ? group.shift : zero + tried;
      scale_levels(book, 3, group.scale, tried_shift, scaled);
      fill_half<Vector, Iq2Halves, false, false>(values, weights, scaled, zero, first);
      fill_half<Vector, Iq2Halves, false, true>(values + 4, weights + 4, scaled, zero, second);
      LeastCost<Vector> at_shift;
      search_plain(book, first, second, at_shift);
      auto better = at_shift.cost < found.cost;
      found.replace(at_shift, better);
      shift = better ? tried_shift : shift;
      if (group.has_shift) break;
    }
    FoundEntries<Vector> entries(found);
    float shifts[kWidth];
    store(shifts, shift);
    for (int lane = 0; lane < kWidth; ++lane) {
      int index = entries.index(book, lane);
      group.codes[lane] = {{uint16_t(index), 0}, 0, shifts[lane] < 0};
      copy_levels(book.entry_levels.data() + 8 * index, 8, lane, group.stride, group.levels);
    }
    for (int i = 0; i < 8; ++i)
      store(group.levels + i * group.stride, Vector(load<Vector>(group.levels + i * group.stride) + shift));
  }
};

template <class Vector, class Rounding, bool kEven>
EDGELLM_INLINE void round_groups(const Codebook& book, const SubBlocks& blocks, const float* scales,
                                 const float* shifts, const RoundedGroups& rounded) {
  int stride = blocks.n_sub_blocks;
  for (int sub = 0; sub < stride; sub += kLanes<Vector>) {
    Vector scale = load<Vector>(scales + sub), error{}, product{}, curvature{};
    Vector shift = shifts ? load<Vector>(shifts + sub) : Vector{};
    for (int first = 0; first < blocks.n_values; first += 8) {
      Group<Vector> group = {blocks.values + first * stride + sub,
                             blocks.weights + first * stride + sub,
                             stride,
                             scale,
                             shift,
                             shifts != nullptr,
                             rounded.codes + first / 8 * stride + sub,
                             rounded.levels + first * stride + sub};
      Rounding::template round<Vector, kEven>(book, group);
      for (int i = 0; i < 8; ++i) {
        Vector x = load<Vector>(group.values + i * stride), w = load<Vector>(group.weights + i * stride);
        Vector level = load<Vector>(group.levels + i * stride), rest = x - scale * level;
        error += w * rest * rest;
        product += w * x * level;
        curvature += w * level * level;
      }
    }
    store(rounded.error + sub, error);
    store(rounded.product + sub, product);
    store(rounded.curvature + sub, curvature);
  }
}

template <class Vector>
EDGELLM_INLINE void round_any(const Codebook& book, const SubBlocks& blocks, const float* scales,
                              const float* shifts, const RoundedGroups& rounded) {
  switch (book.kind) {
    case Codebook::Kind::iq1:
      return round_groups<Vector, RoundIq1, false>(book, blocks, scales, shifts, rounded);
    case Codebook::Kind::iq2:
      if (book.even_signs) return round_groups<Vector, RoundIq2, true>(book, blocks, scales, shifts, rounded);
      return round_groups<Vector, RoundIq2, false>(book, blocks, scales, shifts, rounded);
    case Codebook::Kind::iq3:
      if (book.even_signs) return round_groups<Vector, RoundIq3, true>(book, blocks, scales, shifts, rounded);
      return round_groups<Vector, RoundIq3, false>(book, blocks, scales, shifts, rounded);
  }
}

template <class Vector>
EDGELLM_INLINE void predict_integers(const Roundings& roundings, float step, float high,
                                     PredictedIntegers& predicted) {
  int stride = roundings.n_sub_blocks;
  for (int sub = 0; sub < stride; sub += kLanes<Vector>) {
    Vector zero{}, most_gain = zero - 1.0f, best_scale{}, half = zero + 0.5f;
    for (int k = 0; k < roundings.n; ++k) {
      Vector product = load<Vector>(roundings.product + k * stride + sub);
      Vector scale = product * inverse_or_zero(load<Vector>(roundings.curvature + k * stride + sub));
      Vector gain = scale * product;
      auto better = gain > most_gain;
      most_gain = better ? gain : most_gain;
      best_scale = better ? scale : best_scale;
    }
    Vector middle = rounded(best_scale * (1.0f / step) - half, 0.0f, high);
    Vector best_error = zero + 3.0e38f, best_integer = middle;
    for (int around = -1; around <= 1; ++around) {
      Vector integer = clamped(middle + float(around), 0.0f, high), scale = (integer + half) * step;
      Vector most = zero - 3.0e38f;
      for (int k = 0; k < roundings.n; ++k) {
        Vector gain = scale * (2.0f * load<Vector>(roundings.product + k * stride + sub) -
                               scale * load<Vector>(roundings.curvature + k * stride + sub));
        most = gain > most ? gain : most;
      }
      Vector error = load<Vector>(roundings.energy + sub) - most;
      auto better = error < best_error;
      best_error = better ? error : best_error;
      best_integer = better ? integer : best_integer;
    }
    store(predicted.integer + sub, best_integer);
    store(predicted.error + sub, best_error);
  }
}

// One set of functions; Wide for 16 sub-blocks, Narrow for 8.
#define EDGELLM_CODEBOOK_FIT(set, Wide, Narrow, attribute)                                       \
  attribute void round_##set(const Codebook& book, const SubBlocks& blocks, const float* scales, \
                             const float* shifts, const RoundedGroups& rounded) {                \
    if (blocks.n_sub_blocks == 8)                                                                \
      round_any<Narrow>(book, blocks, scales, shifts, rounded);                                  \
    else                                                                                         \
      round_any<Wide>(book, blocks, scales, shifts, rounded);                                    \
  }                                                                                              \
  attribute void predict_##set(const Roundings& roundings, float step, float high,               \
                               PredictedIntegers& predicted) {                                   \
    if (roundings.n_sub_blocks == 8)                                                             \
      predict_integers<Narrow>(roundings, step, high, predicted);                                \
    else                                                                                         \
      predict_integers<Wide>(roundings, step, high, predicted);                                  \
  }                                                                                              \
  constexpr CodebookFit kCodebookFit_##set = {#set, round_##set, predict_##set};

EDGELLM_CODEBOOK_FIT(generic, Float4, Float4, )
#if defined(__x86_64__)
EDGELLM_CODEBOOK_FIT(avx2, Float8, Float8, __attribute__((target("avx2"))))
EDGELLM_CODEBOOK_FIT(avx512, Float16, Float8, __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw"))))
#endif

const CodebookFit& widest() {
  for (const char* name : {"avx512", "avx2"})
    if (const CodebookFit* fit = find_codebook_fit(name)) return *fit;
  return kCodebookFit_generic;
}

}  // namespace

const CodebookFit* find_codebook_fit(const char* name) {
  // The same instruction sets as for the scales.
  if (!find_grid_fit(name)) return nullptr;
#if defined(__x86_64__)
  if (!std::strcmp(name, "avx512")) return &kCodebookFit_avx512;
  if (!std::strcmp(name, "avx2")) return &kCodebookFit_avx2;
#endif
  return &kCodebookFit_generic;
}

const CodebookFit& codebook_fit() {
  static const CodebookFit& fit = widest();
  return fit;
}

}  // namespace edgellm
