#include "core/blocks/codebook_rounding.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/blocks/lane_vectors.inl.h"

namespace edgellm {
namespace {

// As many rows as a search of codewords takes. Compilers take vectors wider than the machine's apart well
// enough where little is done with each, but keep sums of them in memory: AddProducts, where the time goes,
// is compiled for every instruction set with vectors of its own, all else once.
typedef Float16 Rows;
constexpr int kRows = kLanes<Rows>;
static_assert(size_t(kRows) == kRowStep);

// to[k] += sign * sum over j of matrix[j, k] * from[j], for k in [begin, end).
using AddProducts = void (*)(const float* matrix, size_t stride, const Rows* from, int n_from, int begin,
                             int end, float sign, Rows* to);

template <class Vector>
EDGELLM_INLINE void add_products(const float* matrix, size_t stride, const Rows* from, int n_from, int begin,
                                 int end, float sign, Rows* to) {
  constexpr int kParts = kRows / kLanes<Vector>, kTogether = 4;
  for (int k = begin; k < end; k += kTogether) {
    const int n = std::min(kTogether, end - k);
    for (int part = 0; part < kParts; ++part) {
      const float* parts = reinterpret_cast<const float*>(from) + part * kLanes<Vector>;
      Vector sum[kTogether] = {};
      if (n == kTogether) {
        for (int j = 0; j < n_from; ++j) {
          const Vector x = load<Vector>(parts + j * kRows);
#pragma GCC unroll 4
          for (int i = 0; i < kTogether; ++i) sum[i] += matrix[size_t(j) * stride + size_t(k + i)] * x;
        }
      } else {
        for (int i = 0; i < n; ++i)
          for (int j = 0; j < n_from; ++j)
            sum[i] += matrix[size_t(j) * stride + size_t(k + i)] * load<Vector>(parts + j * kRows);
      }
      for (int i = 0; i < n; ++i) {
        float* rows = reinterpret_cast<float*>(to + k + i) + part * kLanes<Vector>;
        store(rows, Vector(load<Vector>(rows) + sign * sum[i]));
      }
    }
  }
}

constexpr int kGroup = kCodebookGroupValues, kBlock = kCodebookBlockValues, kMaxRunGroups = 4,
              kMaxRun = kMaxRunGroups * kGroup;
// Searches after the first one of a group.
constexpr int kRefinements = 2;
// What counts as a lower error, beyond what sums in float are good for.
constexpr float kLower = 0.99999f;

// A group's part M of the quadratic error, and what bounds it.
struct GroupMetric {
  float matrix[kGroup][kGroup];
  float inverse_bound[kGroup];
  // As weights of a search, to which their size does not matter: the same in every row, [kGroup, kRows].
  float diagonal[kGroup * kRows], bound[kGroup * kRows];

  void set(const float* part, size_t stride) {
    float bounds[kGroup], mean = 0;
    for (int j = 0; j < kGroup; ++j) {
      bounds[j] = 0;
      for (int k = 0; k < kGroup; ++k) {
        matrix[j][k] = part[size_t(j) * stride + size_t(k)];
        bounds[j] += std::fabs(matrix[j][k]);
      }
      mean += matrix[j][j] / float(kGroup);
    }
    const float factor = mean > 0 ? 1.0f / mean : 1.0f;
    for (int j = 0; j < kGroup; ++j) {
      inverse_bound[j] = bounds[j] > 0 ? 1.0f / bounds[j] : 0.0f;
      std::fill_n(diagonal + j * kRows, kRows, matrix[j][j] * factor);
      std::fill_n(bound + j * kRows, kRows, bounds[j] * factor);
    }
  }

  // That of (I + F) D (I + F)^T.
  void set_from_factors(const float* feedback, size_t stride, const float* importance) {
    float factor[kGroup][kGroup], product[kGroup * kGroup];
    for (int j = 0; j < kGroup; ++j)
      for (int k = 0; k < kGroup; ++k)
        factor[j][k] = k < j ? 0.0f : k == j ? 1.0f : feedback[size_t(j) * stride + size_t(k)];
    for (int j = 0; j < kGroup; ++j)
      for (int k = 0; k < kGroup; ++k) {
        float sum = 0;
        for (int i = std::max(j, k); i < kGroup; ++i) sum += factor[j][i] * importance[i] * factor[k][i];
        product[j * kGroup + k] = sum;
      }
    set(product, kGroup);
  }

  // pulled = rest M; gives rest M rest^T.
  Rows error(AddProducts add, const Rows* rest, Rows* pulled) const {
    for (int k = 0; k < kGroup; ++k) pulled[k] = Rows{};
    add(matrix[0], kGroup, rest, kGroup, 0, kGroup, 1.0f, pulled);
    Rows sum{};
    for (int k = 0; k < kGroup; ++k) sum += pulled[k] * rest[k];
    return sum;
  }
};

struct RoundedGroup {
  GroupCode codes[kRows];
  Rows levels[kGroup];
};

void search(const CodebookGrid& grid, const Rows* wanted, const float* weights, const Rows& scale,
            const float* shifts, RoundedGroup& found) {
  float wanted_rows[kGroup * kRows], scale_rows[kRows], levels[kGroup * kRows];
  std::memcpy(wanted_rows, wanted, sizeof(wanted_rows));
  store(scale_rows, scale);
  round_codebook_groups(grid, wanted_rows, weights, scale_rows, shifts, kRows, found.codes, levels);
  std::memcpy(found.levels, levels, sizeof(levels));
}

using Lanes = decltype(Rows{} < Rows{});

EDGELLM_INLINE void take(const Lanes& better, const RoundedGroup& other, RoundedGroup& group) {
  for (int j = 0; j < kGroup; ++j) group.levels[j] = better ? other.levels[j] : group.levels[j];
  for (int row = 0; row < kRows; ++row)
    if (better[row]) group.codes[row] = other.codes[row];
}

EDGELLM_INLINE bool any(const Lanes& lanes) {
  return any_nonzero(lanes ? Rows{} + 1.0f : Rows{});
}

// The codewords of least error around what a group would take unrounded, by the bounds of its metric. Gives
// their error.
Rows round_group(AddProducts add, const CodebookGrid& grid, const GroupMetric& metric, const Rows& scale,
                 const float* shifts, const Rows* unrounded, RoundedGroup& group) {
  Rows rest[kGroup], pulled[kGroup], wanted[kGroup];
  search(grid, unrounded, metric.diagonal, scale, shifts, group);
  for (int j = 0; j < kGroup; ++j) rest[j] = unrounded[j] - scale * group.levels[j];
  Rows error = metric.error(add, rest, pulled);
  for (int refinement = 0; refinement < kRefinements; ++refinement) {
    RoundedGroup other;
    Rows other_pulled[kGroup];
    for (int j = 0; j < kGroup; ++j)
      wanted[j] = scale * group.levels[j] + pulled[j] * metric.inverse_bound[j];
    search(grid, wanted, metric.bound, scale, shifts, other);
    for (int j = 0; j < kGroup; ++j) rest[j] = unrounded[j] - scale * other.levels[j];
    Rows other_error = metric.error(add, rest, other_pulled);
    Lanes better = other_error < error * kLower;
    if (!any(better)) break;
    take(better, other, group);
    error = better ? other_error : error;
    for (int j = 0; j < kGroup; ++j) pulled[j] = better ? other_pulled[j] : pulled[j];
  }
  return error;
}

// Values that share a stored whole number, and their part of the factors of H.
struct Run {
  const float* feedback;
  size_t feedback_stride;
  const GroupMetric* metrics;  // of its groups
  int n_groups;
};

// Rounds a run with feedback. Gives the error.
Rows round_run(AddProducts add, const CodebookGrid& grid, const Run& run, const Rows& scale,
               const float* shifts, const Rows* values, const Rows* targets, RoundedGroup* groups) {
  const int n = run.n_groups * kGroup;
  Rows moving[kMaxRun], cost{};
  for (int i = 0; i < n; ++i) moving[i] = targets[i];
  for (int g = 0; g < run.n_groups; ++g) {
    const int first = g * kGroup;
    const float* feedback = run.feedback + size_t(first) * run.feedback_stride;
    Rows unrounded[kGroup], errors[kGroup];
    for (int j = 0; j < kGroup; ++j) unrounded[j] = moving[first + j];
    for (int j = 0; j < kGroup; ++j) {
      Rows error = values[first + j] - unrounded[j];
      for (int k = j + 1; k < kGroup; ++k)
        unrounded[k] += feedback[size_t(j) * run.feedback_stride + size_t(first + k)] * error;
    }
    cost += round_group(add, grid, run.metrics[g], scale, shifts, unrounded, groups[g]);
    for (int j = 0; j < kGroup; ++j) errors[j] = values[first + j] - scale * groups[g].levels[j];
    add(feedback, run.feedback_stride, errors, kGroup, first + kGroup, n, 1.0f, moving);
  }
  return cost;
}

// The scales of one run in every row.
struct RunScale {
  Rows integer, scale;
};

struct RunScales {
  const CodebookGrid& grid;
  Rows block_scale;

  RunScales(const CodebookPanel& panel, size_t row) : grid(panel.grid()) {
    for (int r = 0; r < kRows; ++r) block_scale[r] = float_from_half(panel.scales[row + size_t(r)].scale);
  }

  EDGELLM_INLINE RunScale of(const Rows& integer) const {
    return {integer, block_scale * (integer + 0.5f) * grid.step};
  }
  RunScale current(const CodebookPanel& panel, int run, size_t row) const {
    Rows integer{};
    for (int r = 0; r < kRows; ++r) integer[r] = float(panel.scales[row + size_t(r)].integers[run]);
    return of(integer);
  }
  static void keep(const RunScale& taken, CodebookPanel& panel, int run, size_t row) {
    for (int r = 0; r < kRows; ++r) panel.scales[row + size_t(r)].integers[run] = uint8_t(taken.integer[r]);
  }
  EDGELLM_INLINE RunScale neighbour(const RunScale& from, float step) const {
    return of(clamped(Rows(from.integer + step), 0.0f, float(grid.highest_integer)));
  }
};

// A run's shifts, or null for a format whose runs have none.
const float* shifts_of(const CodebookPanel& panel, int run, size_t row, float* shifts) {
  if (!panel.grid().shifts_sub_blocks) return nullptr;
  for (int r = 0; r < kRows; ++r) shifts[r] = panel.scales[row + size_t(r)].shift_of(run);
  return shifts;
}

// Of the scales around `from` the one of least error, with its codewords; `best_cost` starts as what is to be
// undercut, and where nothing does, the codewords are those of `from`.
RunScale best_scale(AddProducts add, const RunScales& scales, const RunScale& from, const Run& run,
                    const float* shifts, int n_scales, const Rows* values, const Rows* targets,
                    RoundedGroup* groups, Rows& best_cost) {
  RunScale best = from;
  Rows cost = round_run(add, scales.grid, run, from.scale, shifts, values, targets, groups);
  best_cost = cost < best_cost ? cost : best_cost;
  for (int step = -n_scales; step <= n_scales; ++step) {
    if (!step) continue;
    RoundedGroup others[kMaxRunGroups];
    RunScale tried = scales.neighbour(from, float(step));
    cost = round_run(add, scales.grid, run, tried.scale, shifts, values, targets, others);
    Lanes better = cost < best_cost;
    if (!any(better)) continue;
    for (int g = 0; g < run.n_groups; ++g) take(better, others[g], groups[g]);
    best = {better ? tried.integer : best.integer, better ? tried.scale : best.scale};
    best_cost = better ? cost : best_cost;
  }
  return best;
}

void round_rows(AddProducts add, CodebookPanel& panel, const PanelFeedback& feedback,
                const GridTrials& trials, const float* values, const float* targets, float* errors,
                size_t stride, size_t begin, size_t end) {
  const CodebookGrid& grid = panel.grid();
  const int n_run = grid.n_values_per_sub_block(), n_run_groups = n_run / kGroup;
  std::vector<GroupMetric> metrics(kCodebookGroups);
  for (int g = 0; g < kCodebookGroups; ++g)
    metrics[size_t(g)].set_from_factors(feedback.feedback + g * kGroup * (kBlock + 1), kBlock,
                                        feedback.importance + g * kGroup);
  for (size_t row = begin; row < end; row += size_t(kRows)) {
    RunScales scales(panel, row);
    Rows target[kBlock], value[kMaxRun];
    for (int i = 0; i < kBlock; ++i) target[i] = load<Rows>(targets + size_t(i) * stride + row);
    for (int r = 0; r < grid.n_sub_blocks; ++r) {
      const int first = r * n_run;
      Run run = {feedback.feedback + first * (kBlock + 1), kBlock, metrics.data() + first / kGroup,
                 n_run_groups};
      for (int j = 0; j < n_run; ++j) value[j] = load<Rows>(values + size_t(first + j) * stride + row);
      float shift[kRows];
      const float* shifts = shifts_of(panel, r, row, shift);
      RoundedGroup groups[kMaxRunGroups];
      Rows cost = Rows{} + 3.0e38f;
      RunScale taken = best_scale(add, scales, scales.current(panel, r, row), run, shifts, trials.n_scales,
                                  value, target + first, groups, cost);
      RunScales::keep(taken, panel, r, row);
      for (int j = 0; j < n_run; ++j) {
        value[j] -= taken.scale * groups[j / kGroup].levels[j % kGroup];
        store(errors + size_t(first + j) * stride + row, value[j]);
      }
      for (int g = 0; g < n_run_groups; ++g)
        std::copy_n(groups[g].codes, kRows,
                    panel.codes.data() + size_t(first / kGroup + g) * panel.stride() + row);
      add(feedback.feedback + first * kBlock, kBlock, value, n_run, first + n_run, kBlock, 1.0f, target);
    }
  }
}

// What the codes of a group stand for, without the scale.
void levels_of(const Codebook& book, const GroupCode& code, float* levels) {
  switch (book.kind) {
    case Codebook::Kind::iq3:
      for (int half = 0; half < 2; ++half)
        std::copy_n(book.entry_levels.data() + 4 * code.indices[half], 4, levels + 4 * half);
      break;
    default:
      std::copy_n(book.entry_levels.data() + 8 * code.indices[0], 8, levels);
  }
  const float shift = book.kind != Codebook::Kind::iq1 ? 0.0f : code.shift_is_down ? -0.125f : 0.125f;
  for (int j = 0; j < kGroup; ++j) levels[j] = (code.signs >> j & 1 ? -levels[j] : levels[j]) + shift;
}

// 16 rows of a panel whose error is being lowered.
struct ImprovedRows {
  AddProducts add;
  CodebookPanel& panel;
  const PanelCurvature& curvature;
  const GroupMetric* metrics;      // of H's own parts: [32]
  const GroupMetric* run_metrics;  // of the factors of the runs' parts: [32]
  float* errors;
  size_t stride, row;
  Rows gradient[kBlock], level[kBlock];

  void load_levels() {
    const Codebook& book = codebook(panel.grid().type);
    for (int g = 0; g < kCodebookGroups; ++g)
      for (int r = 0; r < kRows; ++r) {
        float levels[kGroup];
        levels_of(book, panel.codes[size_t(g) * panel.stride() + row + size_t(r)], levels);
        for (int j = 0; j < kGroup; ++j) level[g * kGroup + j][r] = levels[j];
      }
  }

  // Takes changes of a run's values; false where there are none.
  bool apply(int first, int n, const Rows* change) {
    Rows moved{};
    for (int j = 0; j < n; ++j) moved = change[j] != Rows{} ? Rows{} + 1.0f : moved;
    if (!any_nonzero(moved)) return false;
    add(curvature.curvature + first * kBlock, kBlock, change, n, 0, kBlock, -1.0f, gradient);
    for (int j = 0; j < n; ++j) {
      float* error = errors + size_t(first + j) * stride + row;
      store(error, Rows(load<Rows>(error) - change[j]));
    }
    return true;
  }

  // Whether it changed.
  bool improve_run(int r, int n_scales) {
    const CodebookGrid& grid = panel.grid();
    const int n = grid.n_values_per_sub_block(), n_groups = n / kGroup, first = r * n,
              first_group = first / kGroup;
    RunScales scales(panel, row);
    const RunScale old = scales.current(panel, r, row);
    float shift[kRows];
    const float* shifts = shifts_of(panel, r, row, shift);
    const float *inverse = curvature.run_inverse + r * n * n, *feedback = curvature.run_feedback + r * n * n,
                *importance = curvature.run_importance + first;
    // Where the error would be least without rounding, and what the codes lose against that.
    Rows away[kMaxRun] = {}, rest[kMaxRun], optimum[kMaxRun], change[kMaxRun], moving[kMaxRun], cost{};
    add(inverse, size_t(n), gradient + first, n, 0, n, 1.0f, away);
    for (int j = 0; j < n; ++j) optimum[j] = old.scale * level[first + j] + away[j], rest[j] = away[j];
    for (int j = 0; j < n; ++j) add(feedback + j * n, size_t(n), away + j, 1, j + 1, n, 1.0f, rest);
    for (int k = 0; k < n; ++k) cost += importance[k] * rest[k] * rest[k];
    Run run = {feedback, size_t(n), run_metrics + first_group, n_groups};
    RoundedGroup groups[kMaxRunGroups];
    Rows best_cost = cost * kLower;
    const RunScale found =
        best_scale(add, scales, old, run, shifts, n_scales, optimum, optimum, groups, best_cost);
    const Lanes better = best_cost < cost * kLower;
    const RunScale taken = {better ? found.integer : old.integer, better ? found.scale : old.scale};
    RunScales::keep(taken, panel, r, row);
    for (int j = 0; j < n; ++j) {
      const Rows now = better ? groups[j / kGroup].levels[j % kGroup] : level[first + j];
      change[j] = taken.scale * now - old.scale * level[first + j];
      level[first + j] = now;
    }
    for (int g = 0; g < n_groups; ++g) keep_codes(first_group + g, better, groups[g]);
    // Single groups, with the gradient of this run kept up.
    const float* h = curvature.curvature + first * (kBlock + 1);
    for (int k = 0; k < n; ++k) moving[k] = gradient[first + k];
    add(h, kBlock, change, n, 0, n, -1.0f, moving);
    for (int g = 0; g < n_groups; ++g) {
      const GroupMetric& metric = metrics[first_group + g];
      Rows *of_group = level + first + g * kGroup, wanted[kGroup], step[kGroup], pulled[kGroup];
      for (int j = 0; j < kGroup; ++j)
        wanted[j] = taken.scale * of_group[j] + moving[g * kGroup + j] * metric.inverse_bound[j];
      RoundedGroup other;
      search(grid, wanted, metric.bound, taken.scale, shifts, other);
      Rows product{};
      for (int j = 0; j < kGroup; ++j) {
        step[j] = taken.scale * (other.levels[j] - of_group[j]);
        product += step[j] * moving[g * kGroup + j];
      }
      const Lanes lower = metric.error(add, step, pulled) < 2.0f * kLower * product;
      if (!any(lower)) continue;
      keep_codes(first_group + g, lower, other);
      for (int j = 0; j < kGroup; ++j) {
        step[j] = lower ? step[j] : Rows{};
        of_group[j] = lower ? other.levels[j] : of_group[j];
        change[g * kGroup + j] += step[j];
      }
      add(h + g * kGroup * kBlock, kBlock, step, kGroup, 0, n, -1.0f, moving);
    }
    return apply(first, n, change);
  }

  void keep_codes(int group, const Lanes& better, const RoundedGroup& found) {
    GroupCode* codes = panel.codes.data() + size_t(group) * panel.stride() + row;
    for (int r = 0; r < kRows; ++r)
      if (better[r]) codes[r] = found.codes[r];
  }

  // The block's scale with everything else as it is.
  bool improve_block_scale() {
    const CodebookGrid& grid = panel.grid();
    const int n_run = grid.n_values_per_sub_block();
    RunScales scales(panel, row);
    Rows decoded[kBlock], product{}, curved{};
    for (int r = 0; r < grid.n_sub_blocks; ++r) {
      const Rows scale = scales.current(panel, r, row).scale;
      for (int j = r * n_run; j < (r + 1) * n_run; ++j) decoded[j] = scale * level[j];
    }
    Rows pulled[kBlock] = {};
    add(curvature.curvature, kBlock, decoded, kBlock, 0, kBlock, 1.0f, pulled);
    for (int k = 0; k < kBlock; ++k) product += decoded[k] * gradient[k], curved += decoded[k] * pulled[k];
    Rows share = product * inverse_or_zero(curved), change[kBlock], moved{};
    for (int r = 0; r < kRows; ++r) {
      uint16_t& stored = panel.scales[row + size_t(r)].scale;
      const float old = scales.block_scale[r], wanted = half_value(old * (1 + share[r]));
      const float taken = wanted / old - 1;
      moved[r] = 0;
      if (!(old > 0 && wanted > 0) || !(taken * taken * curved[r] < 2 * kLower * taken * product[r]))
        continue;
      stored = half_from_float(wanted);
      moved[r] = taken;
    }
    for (int j = 0; j < kBlock; ++j) change[j] = moved * decoded[j];
    return apply(0, kBlock, change);
  }

  void improve(int n_scales, int n_passes) {
    for (int pass = 0; pass < n_passes; ++pass) {
      bool changed = false;
      // Scales settle in the first visit; later ones look for codewords only.
      const int n_tried = pass == 0 ? n_scales : 0;
      for (int r = 0; r < panel.grid().n_sub_blocks; ++r) changed |= improve_run(r, n_tried);
      changed |= improve_block_scale();
      if (!changed) break;
    }
  }
};

void improve_rows(AddProducts add, CodebookPanel& panel, const PanelCurvature& curvature,
                  const GridTrials& trials, int n_passes, const float* gradients, float* errors,
                  size_t stride, size_t begin, size_t end) {
  const int n_run = panel.grid().n_values_per_sub_block();
  std::vector<GroupMetric> metrics(kCodebookGroups), run_metrics(kCodebookGroups);
  for (int g = 0; g < kCodebookGroups; ++g) {
    const int column = g * kGroup, run = column / n_run, in_run = column % n_run;
    metrics[size_t(g)].set(curvature.curvature + column * (kBlock + 1), kBlock);
    run_metrics[size_t(g)].set_from_factors(
        curvature.run_feedback + run * n_run * n_run + in_run * (n_run + 1), size_t(n_run),
        curvature.run_importance + column);
  }
  for (size_t row = begin; row < end; row += size_t(kRows)) {
    ImprovedRows rows = {add, panel, curvature, metrics.data(), run_metrics.data(), errors, stride,
                         row, {},    {}};
    for (int i = 0; i < kBlock; ++i) rows.gradient[i] = load<Rows>(gradients + size_t(i) * stride + row);
    rows.load_levels();
    rows.improve(trials.n_scales, n_passes);
  }
}

#define EDGELLM_CODEBOOK_ROUNDING(set, Vector, attribute)                                                  \
  attribute void add_products_##set(const float* matrix, size_t stride, const Rows* from, int n_from,      \
                                    int begin, int end, float sign, Rows* to) {                            \
    add_products<Vector>(matrix, stride, from, n_from, begin, end, sign, to);                              \
  }                                                                                                        \
  void round_##set(CodebookPanel& panel, const PanelFeedback& feedback, const GridTrials& trials,          \
                   const float* values, const float* targets, float* errors, size_t stride, size_t begin,  \
                   size_t end) {                                                                           \
    round_rows(add_products_##set, panel, feedback, trials, values, targets, errors, stride, begin, end);  \
  }                                                                                                        \
  void improve_##set(CodebookPanel& panel, const PanelCurvature& curvature, const GridTrials& trials,      \
                     int n_passes, const float* gradients, float* errors, size_t stride, size_t begin,     \
                     size_t end) {                                                                         \
    improve_rows(add_products_##set, panel, curvature, trials, n_passes, gradients, errors, stride, begin, \
                 end);                                                                                     \
  }                                                                                                        \
  constexpr CodebookRounding kCodebookRounding_##set = {#set, round_##set, improve_##set};

EDGELLM_CODEBOOK_ROUNDING(generic, Float4, )
#if defined(__x86_64__)
EDGELLM_CODEBOOK_ROUNDING(avx2, Float8, __attribute__((target("avx2"))))
EDGELLM_CODEBOOK_ROUNDING(avx512, Float16, __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw"))))
#endif

}  // namespace

const CodebookRounding* find_codebook_rounding(const char* name) {
  // The same instruction sets as the search of codewords has.
  const CodebookFit* fit = find_codebook_fit(name);
#if defined(__x86_64__)
  if (fit && !std::strcmp(name, "avx512")) return &kCodebookRounding_avx512;
  if (fit && !std::strcmp(name, "avx2")) return &kCodebookRounding_avx2;
#endif
  return fit ? &kCodebookRounding_generic : nullptr;
}

const CodebookRounding& codebook_rounding() {
  static const CodebookRounding& widest = *find_codebook_rounding(codebook_fit().name);
  return widest;
}

}  // namespace edgellm
