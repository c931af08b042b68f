#include "core/blocks/block_rounding.h"

#include <initializer_list>

#include "core/blocks/lane_vectors.inl.h"

namespace edgellm {
namespace {

template <class Vector, class Number>
EDGELLM_INLINE Vector load_whole(const Number* from) {
  float lanes[kLanes<Vector>];
  for (int i = 0; i < kLanes<Vector>; ++i) lanes[i] = float(from[i]);
  return load<Vector>(lanes);
}

template <class Vector, class Number>
EDGELLM_INLINE void store_whole(Number* to, const Vector& vector) {
  float lanes[kLanes<Vector>];
  store(lanes, vector);
  for (int i = 0; i < kLanes<Vector>; ++i) to[i] = Number(int(lanes[i]));
}

template <class Vector>
EDGELLM_INLINE Vector to_half(const Vector& vector) {
  float lanes[kLanes<Vector>];
  store(lanes, vector);
  for (float& lane : lanes) lane = half_value(lane);
  return load<Vector>(lanes);
}

// The grid of one run in every lane's row.
template <class Vector>
struct RunGrid {
  Vector scale, min;              // as decoded
  Vector whole_scale, whole_min;  // as stored; where the block is one run, the same as scale and min
};

// The grids a run can have under the scales of its block.
template <class Vector>
struct RunGrids {
  const BlockGrid& grid;
  Vector block_scale, block_min;

  RunGrids(const BlockPanel& panel, size_t block, size_t row) : grid(panel.grid()) {
    float scales[kLanes<Vector>], mins[kLanes<Vector>];
    for (int i = 0; i < kLanes<Vector>; ++i) {
      scales[i] = float_from_half(panel.block_scales[block * panel.stride() + row + size_t(i)]);
      mins[i] = float_from_half(panel.block_mins[block * panel.stride() + row + size_t(i)]);
    }
    block_scale = load<Vector>(scales), block_min = load<Vector>(mins);
  }

  EDGELLM_INLINE RunGrid<Vector> current(const BlockPanel& panel, int run, size_t row) const {
    const size_t at = size_t(run) * panel.stride() + row;
    RunGrid<Vector> found;
    found.scale = load<Vector>(panel.scales.data() + at), found.min = load<Vector>(panel.mins.data() + at);
    if (grid.scale_high) {
      found.whole_scale = load_whole<Vector>(panel.run_scales.data() + at);
      found.whole_min = load_whole<Vector>(panel.run_mins.data() + at);
    } else {
      found.whole_scale = found.scale, found.whole_min = found.min;
    }
    return found;
  }

  EDGELLM_INLINE void keep(const RunGrid<Vector>& taken, BlockPanel& panel, int run, size_t row) const {
    const size_t at = size_t(run) * panel.stride() + row;
    store(panel.scales.data() + at, taken.scale), store(panel.mins.data() + at, taken.min);
    if (grid.scale_high) {
      store_whole(panel.run_scales.data() + at, taken.whole_scale);
      store_whole(panel.run_mins.data() + at, taken.whole_min);
      return;
    }
    for (int i = 0; i < kLanes<Vector>; ++i) {
      panel.block_scales[at + size_t(i)] = half_from_float(panel.scales[at + size_t(i)]);
      float min = panel.mins[at + size_t(i)];
      panel.block_mins[at + size_t(i)] = half_from_float(grid.min == BlockGrid::Min::kAdded ? -min : 0.0f);
    }
  }

  // The scale `step` steps away, with the minimum that keeps the middle level where it was, `min_step` steps
  // of the stored minimum away.
  EDGELLM_INLINE RunGrid<Vector> neighbour(const RunGrid<Vector>& from, float step, float min_step,
                                           float relative_step, float middle) const {
    RunGrid<Vector> found = from;
    Vector zero{}, one = zero + 1.0f;
    if (grid.scale_high) {
      Vector magnitude = from.whole_scale < zero ? -from.whole_scale : from.whole_scale;
      Vector stride = rounded(Vector(magnitude * relative_step), 1.0f, 128.0f);
      found.whole_scale =
          clamped(Vector(from.whole_scale + step * stride), float(grid.scale_low), float(grid.scale_high));
      found.scale = block_scale * found.whole_scale;
    } else {
      found.scale = to_half(Vector(from.scale * (one + step * relative_step)));
      found.whole_scale = found.scale;
    }
    if (grid.min == BlockGrid::Min::kNone) return found;
    Vector wanted = from.min + middle * (found.scale - from.scale);
    if (grid.scale_high) {
      Vector whole =
          rounded(Vector(wanted * inverse_or_zero(block_min)), 0.0f, float(grid.min_high)) + min_step;
      found.whole_min = clamped(whole, 0.0f, float(grid.min_high));
      found.min = block_min * found.whole_min;
    } else {
      found.min = to_half(Vector(wanted + min_step * 0.25f * found.scale));
      found.whole_min = found.min;
    }
    return found;
  }
};

template <class Vector>
EDGELLM_INLINE RunGrid<Vector> chosen(const decltype(Vector{} < Vector{}) & take, const RunGrid<Vector>& a,
                                      const RunGrid<Vector>& b) {
  return {take ? a.scale : b.scale, take ? a.min : b.min, take ? a.whole_scale : b.whole_scale,
          take ? a.whole_min : b.whole_min};
}

// BlockPanel::kept of n values from `first` on, in `room`; null where every level is free.
template <class Vector>
EDGELLM_INLINE const Vector* load_kept(const int8_t* kept, size_t stride, int first, int n, size_t row,
                                       Vector* room) {
  if (!kept) return nullptr;
  for (int j = 0; j < n; ++j) room[j] = load_whole<Vector>(kept + size_t(first + j) * stride + row);
  return room;
}

const int8_t* kept_of(const BlockPanel& panel) {
  return panel.kept.empty() ? nullptr : panel.kept.data();
}

// Part of the factors of H that belongs to one run.
struct RunFeedback {
  const float* feedback;
  size_t feedback_stride;
  const float* importance;
  int n_values;
};

// Rounds a run with feedback; targets are used up. kept: [n_values] or null. Gives the error.
template <class Vector, class Rounding>
EDGELLM_INLINE Vector round_run(const RunFeedback& run, const Rounding& levels, const RunGrid<Vector>& grid,
                                const Vector* kept, const Vector* values, Vector* targets,
                                Vector* levels_taken) {
  Vector inverse = inverse_or_zero(grid.scale), cost{};
  for (int j = 0; j < run.n_values; ++j) {
    Vector level = levels.nearest(Vector((targets[j] + grid.min) * inverse));
    if (kept) level *= kept[j];
    Vector decoded = grid.scale * level - grid.min;
    Vector rest = targets[j] - decoded, error = values[j] - decoded;
    cost += run.importance[j] * rest * rest;
    if (levels_taken) levels_taken[j] = level;
    const float* feedback = run.feedback + size_t(j) * run.feedback_stride;
    for (int k = j + 1; k < run.n_values; ++k) targets[k] += feedback[k] * error;
  }
  return cost;
}

// Of the grids around `from` the one of least error; `best_cost` starts as what is to be undercut.
template <class Vector, class Rounding>
EDGELLM_INLINE RunGrid<Vector> best_grid(const RunGrids<Vector>& grids, const RunGrid<Vector>& from,
                                         const RunFeedback& run, const Rounding& rounding,
                                         const Levels& levels, const GridTrials& trials, const Vector* kept,
                                         const Vector* values, const Vector* targets, Vector& best_cost) {
  RunGrid<Vector> best = from;
  const float middle = 0.5f * (levels.low + levels.high);
  const int n_mins = grids.grid.min == BlockGrid::Min::kNone ? 0 : trials.n_mins;
  for (int step = -trials.n_scales; step <= trials.n_scales; ++step)
    for (int min_step = -n_mins; min_step <= n_mins; ++min_step) {
      RunGrid<Vector> tried =
          step || min_step ? grids.neighbour(from, float(step), float(min_step), trials.relative_step, middle)
                           : from;
      Vector moving[kMaxRunValues];
      for (int j = 0; j < run.n_values; ++j) moving[j] = targets[j];
      Vector cost =
          round_run<Vector>(run, rounding, tried, kept, values, moving, static_cast<Vector*>(nullptr));
      auto better = cost < best_cost;
      best = chosen<Vector>(better, tried, best);
      best_cost = better ? cost : best_cost;
    }
  return best;
}

// targets[k] += sum over j of errors[j] * factors[j, k], for k in [begin, end).
template <class Vector>
EDGELLM_INLINE void feed(const Vector* errors, int n_errors, const float* factors, size_t stride, int begin,
                         int end, float sign, Vector* targets) {
  for (int k = begin; k < end; ++k) {
    Vector sum{};
    for (int j = 0; j < n_errors; ++j) sum += factors[size_t(j) * stride + size_t(k)] * errors[j];
    targets[k] += sign * sum;
  }
}

template <class Vector>
EDGELLM_INLINE void compensate_rows(const PanelColumns& columns, const PanelFeedback& feedback,
                                    const float* values, const float* targets, const int8_t* kept,
                                    size_t stride, size_t begin, size_t end, float* compensated) {
  const int n = int(columns.n_panel), n_block = int(columns.n), first = int(columns.first);
  for (size_t row = begin; row < end; row += size_t(kLanes<Vector>)) {
    Vector target[kMaxBlockValues];
    for (int i = 0; i < n_block; ++i) target[i] = load<Vector>(targets + size_t(first + i) * stride + row);
    for (int j = 0; j < n_block; ++j) {
      if (kept) target[j] *= load_whole<Vector>(kept + size_t(first + j) * stride + row);
      store(compensated + size_t(j) * (end - begin) + (row - begin), target[j]);
      Vector error = load<Vector>(values + size_t(first + j) * stride + row) - target[j];
      const float* factors = feedback.feedback + size_t((first + j) * n + first);
      for (int k = j + 1; k < n_block; ++k) target[k] += factors[k] * error;
    }
  }
}

template <class Vector, class Rounding>
EDGELLM_INLINE void round_rows(BlockPanel& panel, size_t block, const PanelFeedback& feedback,
                               const GridTrials& trials, const Rounding& rounding, const float* values,
                               float* targets, float* errors, size_t stride, size_t begin, size_t end) {
  const BlockGrid& grid = panel.grid();
  const int n = int(panel.n_values()), n_run = grid.n_run_values, first_of_block = int(block) * grid.n_values;
  for (size_t row = begin; row < end; row += size_t(kLanes<Vector>)) {
    RunGrids<Vector> grids(panel, block, row);
    // From the block's first column to the panel's last.
    Vector target[kMaxPanelValues], value[kMaxRunValues], level[kMaxRunValues], moving[kMaxRunValues],
        kept_room[kMaxRunValues];
    for (int i = first_of_block; i < n; ++i) target[i] = load<Vector>(targets + size_t(i) * stride + row);
    for (int run = int(block) * grid.n_runs(); run < int(block + 1) * grid.n_runs(); ++run) {
      const int first = run * n_run;
      RunFeedback part = {feedback.feedback + size_t(first * n + first), size_t(n),
                          feedback.importance + first, n_run};
      for (int j = 0; j < n_run; ++j) value[j] = load<Vector>(values + size_t(first + j) * stride + row);
      const Vector* kept = load_kept(kept_of(panel), panel.stride(), first, n_run, row, kept_room);
      RunGrid<Vector> taken = grids.current(panel, run, row);
      if (trials.n_scales || trials.n_mins) {
        Vector cost = Vector{} + 3.0e38f;
        taken =
            best_grid(grids, taken, part, rounding, grid.levels(), trials, kept, value, target + first, cost);
        grids.keep(taken, panel, run, row);
      }
      for (int j = 0; j < n_run; ++j) moving[j] = target[first + j];
      round_run<Vector>(part, rounding, taken, kept, value, moving, level);
      for (int j = 0; j < n_run; ++j) {
        value[j] -= taken.scale * level[j] - taken.min;
        store(errors + size_t(first + j) * stride + row, value[j]);
        store_whole(panel.levels.data() + size_t(first + j) * panel.stride() + row, level[j]);
      }
      feed(value, n_run, feedback.feedback + size_t(first * n), size_t(n), first + n_run, n, 1.0f, target);
    }
    for (int i = first_of_block + grid.n_values; i < n; ++i)
      store(targets + size_t(i) * stride + row, target[i]);
  }
}

template <class Vector, class Rounding>
EDGELLM_INLINE void improve_rows(BlockPanel& panel, const PanelCurvature& curvature, const GridTrials& trials,
                                 int n_passes, const Rounding& rounding, const float* gradients,
                                 float* errors, size_t stride, size_t begin, size_t end) {
  const BlockGrid& grid = panel.grid();
  const int n = int(panel.n_values()), n_run = grid.n_run_values;
  for (size_t row = begin; row < end; row += size_t(kLanes<Vector>)) {
    Vector gradient[kMaxPanelValues], level[kMaxPanelValues], change[kMaxRunValues], optimum[kMaxRunValues],
        moving[kMaxRunValues], tried[kMaxRunValues], kept_room[kMaxRunValues];
    for (int i = 0; i < n; ++i) {
      gradient[i] = load<Vector>(gradients + size_t(i) * stride + row);
      level[i] = load_whole<Vector>(panel.levels.data() + size_t(i) * panel.stride() + row);
    }
    for (int pass = 0; pass < n_passes; ++pass) {
      bool any_change = false;
      for (int run = 0; run < int(panel.n_runs()); ++run) {
        const int first = run * n_run;
        const size_t square = size_t(run) * size_t(n_run * n_run);
        RunGrids<Vector> grids(panel, size_t(run / grid.n_runs()), row);
        RunGrid<Vector> old = grids.current(panel, run, row), taken = old;
        RunFeedback part = {curvature.run_feedback + square, size_t(n_run), curvature.run_importance + first,
                            n_run};
        const Vector* kept = load_kept(kept_of(panel), panel.stride(), first, n_run, row, kept_room);
        const float* inverse = curvature.run_inverse + square;
        const float* h = curvature.curvature + size_t(first * n);
        // Where the error would be least without rounding, and what the levels lose against that.
        Vector cost{};
        for (int j = 0; j < n_run; ++j) {
          Vector away{};
          for (int k = 0; k < n_run; ++k) away += inverse[j * n_run + k] * gradient[first + k];
          tried[j] = away;
          optimum[j] = old.scale * level[first + j] - old.min + away;
        }
        for (int k = 0; k < n_run; ++k) {
          Vector rest = tried[k];
          for (int j = 0; j < k; ++j) rest += part.feedback[j * n_run + k] * tried[j];
          cost += part.importance[k] * rest * rest;
        }
        Vector best_cost = cost * 0.99999f;
        taken =
            best_grid(grids, old, part, rounding, grid.levels(), trials, kept, optimum, optimum, best_cost);
        for (int j = 0; j < n_run; ++j) moving[j] = optimum[j];
        round_run<Vector>(part, rounding, taken, kept, optimum, moving, tried);
        auto better = best_cost < cost * 0.99999f;
        taken = chosen<Vector>(better, taken, old);
        grids.keep(taken, panel, run, row);
        for (int j = 0; j < n_run; ++j) {
          Vector now = better ? tried[j] : level[first + j];
          change[j] = (taken.scale * now - taken.min) - (old.scale * level[first + j] - old.min);
          level[first + j] = now;
        }
        // Single levels, with the gradient of this run kept up.
        for (int k = 0; k < n_run; ++k) {
          Vector sum{};
          for (int j = 0; j < n_run; ++j) sum += h[j * n + first + k] * change[j];
          moving[k] = gradient[first + k] - sum;
        }
        Vector inverse_scale = inverse_or_zero(taken.scale);
        for (int round = 0; round < 2; ++round)
          for (int j = 0; j < n_run; ++j) {
            Vector decoded = taken.scale * level[first + j] - taken.min;
            Vector wanted = decoded + moving[j] * (1.0f / h[j * n + first + j]);
            Vector now = rounding.nearest(Vector((wanted + taken.min) * inverse_scale));
            if (kept) now *= kept[j];
            Vector step = (taken.scale * now - taken.min) - decoded;
            if (!any_nonzero(step)) continue;
            level[first + j] = now;
            change[j] += step;
            for (int k = 0; k < n_run; ++k) moving[k] -= h[j * n + first + k] * step;
          }
        Vector moved{};
        for (int j = 0; j < n_run; ++j) moved = change[j] != Vector{} ? Vector{} + 1.0f : moved;
        if (!any_nonzero(moved)) continue;
        any_change = true;
        feed(change, n_run, h, size_t(n), 0, n, -1.0f, gradient);
        for (int j = 0; j < n_run; ++j) {
          float* error = errors + size_t(first + j) * stride + row;
          store(error, Vector(load<Vector>(error) - change[j]));
        }
      }
      if (!any_change) break;
    }
    for (int i = 0; i < n; ++i) store_whole(panel.levels.data() + size_t(i) * panel.stride() + row, level[i]);
  }
}

#define EDGELLM_BLOCK_ROUNDING(set, Vector, attribute)                                                       \
  attribute void compensate_##set(const PanelColumns& columns, const PanelFeedback& feedback,                \
                                  const float* values, const float* targets, const int8_t* kept,             \
                                  size_t stride, size_t begin, size_t end, float* compensated) {             \
    compensate_rows<Vector>(columns, feedback, values, targets, kept, stride, begin, end, compensated);      \
  }                                                                                                          \
  attribute void round_##set(BlockPanel& panel, size_t block, const PanelFeedback& feedback,                 \
                             const GridTrials& trials, const float* values, float* targets, float* errors,   \
                             size_t stride, size_t begin, size_t end) {                                      \
    const Levels& levels = panel.grid().levels();                                                            \
    if (levels.iq4)                                                                                          \
      round_rows<Vector>(panel, block, feedback, trials, Iq4Levels{}, values, targets, errors, stride,       \
                         begin, end);                                                                        \
    else                                                                                                     \
      round_rows<Vector>(panel, block, feedback, trials, WholeNumbers{levels.low, levels.high}, values,      \
                         targets, errors, stride, begin, end);                                               \
  }                                                                                                          \
  attribute void improve_##set(BlockPanel& panel, const PanelCurvature& curvature, const GridTrials& trials, \
                               int n_passes, const float* gradients, float* errors, size_t stride,           \
                               size_t begin, size_t end) {                                                   \
    const Levels& levels = panel.grid().levels();                                                            \
    if (levels.iq4)                                                                                          \
      improve_rows<Vector>(panel, curvature, trials, n_passes, Iq4Levels{}, gradients, errors, stride,       \
                           begin, end);                                                                      \
    else                                                                                                     \
      improve_rows<Vector>(panel, curvature, trials, n_passes, WholeNumbers{levels.low, levels.high},        \
                           gradients, errors, stride, begin, end);                                           \
  }                                                                                                          \
  constexpr BlockRounding kBlockRounding_##set = {#set, compensate_##set, round_##set, improve_##set};

EDGELLM_BLOCK_ROUNDING(generic, Float4, )
#if defined(__x86_64__)
EDGELLM_BLOCK_ROUNDING(avx2, Float8, __attribute__((target("avx2"))))
EDGELLM_BLOCK_ROUNDING(avx512, Float16, __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw"))))
#endif

}  // namespace

const BlockRounding* find_block_rounding(const char* name) {
  // The same instruction sets as the scale search has.
  const GridFit* fit = find_grid_fit(name);
#if defined(__x86_64__)
  if (fit && !std::strcmp(name, "avx512")) return &kBlockRounding_avx512;
  if (fit && !std::strcmp(name, "avx2")) return &kBlockRounding_avx2;
#endif
  return fit ? &kBlockRounding_generic : nullptr;
}

const BlockRounding& block_rounding() {
  static const BlockRounding& widest = *find_block_rounding(grid_fit().name);
  return widest;
}

}  // namespace edgellm
