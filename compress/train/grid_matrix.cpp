#include "compress/train/grid_matrix.h"

#include <ATen/Parallel.h>
#include <cstring>
#include <fmt/format.h>

#include "core/blocks/iq4.h"

namespace edgellm {
namespace {

// A place at most this far from its level, in distances of levels, is surely rounded back to it.
constexpr double kNearLevel = 0.49;

at::Tensor as_whole(const at::Tensor& x, int low, int high) {
  at::Tensor inside = x.clamp(low, high);
  return straight_through(inside, inside.detach().round());
}

// What indices of uneven levels stand for: a table, and the places between them.
at::Tensor uneven_levels(at::Device device) {
  std::vector<float> levels(std::begin(kIq4Levels), std::end(kIq4Levels));
  return at::tensor(levels, at::TensorOptions().dtype(at::kFloat)).to(device);
}

template <class T>
T* row_of(const at::Tensor& matrix, int64_t row) {
  return matrix.data_ptr<T>() + row * matrix.size(1);
}

}  // namespace

GridMatrix::GridMatrix(const BlockGrid& grid, int64_t n_rows, int64_t n_columns)
    : grid_(&grid),
      n_rows_(n_rows),
      n_columns_(n_columns),
      n_blocks_(n_columns / grid.n_values),
      n_runs_(n_columns / grid.n_run_values),
      block_scales_(at::empty({n_rows, n_blocks_})),
      indices_(at::empty({n_rows, n_columns}, at::kByte)) {
  if (has_mins()) block_mins_ = at::empty({n_rows, n_blocks_});
  if (has_runs()) run_scales_ = at::empty({n_rows, n_runs_});
  if (has_runs() && has_mins()) run_mins_ = at::empty({n_rows, n_runs_});
}

Result<GridMatrix> GridMatrix::unpack(std::span<const std::byte> bytes, TensorType type, int64_t n_rows,
                                      int64_t n_columns) {
  const BlockGrid* grid = find_block_grid(type);
  if (!grid) return Error{fmt::format("train {}: this type has no grid of single values", to_string(type))};
  const int64_t n_block_bytes = int64_t(info(type).n_bytes_per_block);
  if (n_rows <= 0 || n_columns <= 0 || n_columns % grid->n_values ||
      int64_t(bytes.size()) != n_rows * (n_columns / grid->n_values) * n_block_bytes)
    return Error{fmt::format("train {}: {} bytes are no {} rows of {} values", to_string(type), bytes.size(),
                             n_rows, n_columns)};
  GridMatrix matrix(*grid, n_rows, n_columns);
  const int64_t n_block_runs = grid->n_runs();
  at::parallel_for(0, n_rows, 8, [&](int64_t begin, int64_t end) {
    GridBlock block;
    for (int64_t row = begin; row < end; ++row)
      for (int64_t b = 0; b < matrix.n_blocks_; ++b) {
        grid->unpack(bytes.data() + (row * matrix.n_blocks_ + b) * n_block_bytes, block);
        row_of<float>(matrix.block_scales_, row)[b] = float_from_half(block.scale);
        if (matrix.has_mins()) row_of<float>(matrix.block_mins_, row)[b] = float_from_half(block.min);
        for (int64_t run = 0; matrix.has_runs() && run < n_block_runs; ++run) {
          row_of<float>(matrix.run_scales_, row)[b * n_block_runs + run] = float(block.run_scales[run]);
          if (matrix.has_mins())
            row_of<float>(matrix.run_mins_, row)[b * n_block_runs + run] = float(block.run_mins[run]);
        }
        std::memcpy(row_of<uint8_t>(matrix.indices_, row) + b * grid->n_values, block.codes,
                    size_t(grid->n_values));
      }
  });
  // -128 in a Q8_0 block of another program: it decodes, but is no level of the grid.
  if (matrix.indices_.max().item<int>() > matrix.last_index())
    return Error{fmt::format("train {}: a code stands for no level of the grid", to_string(type))};
  return matrix;
}

void GridMatrix::move_to(at::Device device) {
  for (at::Tensor* part : {&block_scales_, &block_mins_, &run_scales_, &run_mins_, &indices_})
    if (part->defined()) *part = part->to(device);
}

at::Tensor GridMatrix::block_scales() const {
  return changed_halves(block_scales_, scale_changes_);
}

at::Tensor GridMatrix::block_mins() const {
  return changed_halves(block_mins_, min_changes_);
}

at::Tensor GridMatrix::run_scales() const {
  if (!has_runs()) return block_scales();
  at::Tensor whole = as_whole(run_scales_, grid_->scale_low, grid_->scale_high);
  return (block_scales().unsqueeze(-1) * whole.view({n_rows_, n_blocks_, -1})).view({n_rows_, n_runs_});
}

at::Tensor GridMatrix::run_mins() const {
  if (grid_->min == BlockGrid::Min::kAdded) return -block_mins();
  at::Tensor whole = as_whole(run_mins_, 0, grid_->min_high);
  return (block_mins().unsqueeze(-1) * whole.view({n_rows_, n_blocks_, -1})).view({n_rows_, n_runs_});
}

at::Tensor GridMatrix::indices() const {
  if (!places_.defined()) return indices_.to(at::kFloat);
  at::Tensor levels = as_whole(places_, 0, last_index());
  return kept_.defined() ? at::where(kept_, indices_.to(at::kFloat), levels) : levels;
}

at::Tensor GridMatrix::weights() const {
  at::Tensor levels = indices();
  if (is_uneven()) {
    // The slope of the table where it is read.
    at::Tensor table = uneven_levels(levels.device()), at = levels.detach().to(at::kLong);
    at::Tensor values = table.index_select(0, at.flatten()).view_as(levels);
    if (levels.requires_grad()) {
      at::Tensor above = table.index_select(0, at.add(1).clamp_max(15).flatten()).view_as(levels),
                 below = table.index_select(0, at.sub(1).clamp_min(0).flatten()).view_as(levels);
      at::Tensor slope = (above - below) / (at.add(1).clamp_max(15) - at.sub(1).clamp_min(0));
      values = values + (levels - levels.detach()) * slope;
    }
    levels = values;
  } else if (grid_->levels().low != 0) {
    levels = levels + grid_->levels().low;
  }
  at::Tensor runs = levels.view({n_rows_, n_runs_, -1}) * run_scales().unsqueeze(-1);
  if (has_mins()) runs = runs - run_mins().unsqueeze(-1);
  return runs.view({n_rows_, n_columns_});
}

std::vector<at::Tensor> GridMatrix::block_parameters() const {
  std::vector<at::Tensor> blocks = {block_scales_};
  if (has_mins()) blocks.push_back(block_mins_);
  return blocks;
}

std::vector<at::Tensor> GridMatrix::train_block_scales() {
  std::vector<at::Tensor> changes;
  for (const at::Tensor& blocks : block_parameters())
    changes.push_back(at::zeros_like(blocks).set_requires_grad(true));
  use_block_changes(changes);
  return changes;
}

void GridMatrix::use_block_changes(std::span<const at::Tensor> changes) {
  scale_changes_ = changes[0];
  if (has_mins()) min_changes_ = changes[1];
}

std::vector<at::Tensor> GridMatrix::train_run_scales() {
  std::vector<at::Tensor> trained;
  for (at::Tensor* whole : {&run_scales_, &run_mins_})
    if (whole->defined()) trained.push_back(whole->set_requires_grad(true));
  return trained;
}

at::Tensor GridMatrix::train_levels(const at::Tensor& wanted) {
  at::NoGradGuard no_grad;
  at::Tensor scale = run_scales().unsqueeze(-1), at = indices_.to(at::kFloat);
  at::Tensor distance = (wanted - weights()).view({n_rows_, n_runs_, -1});
  // A run without a scale rounds nothing, whatever its levels are.
  distance = at::where(scale == 0, at::zeros_like(distance), distance / scale).view({n_rows_, n_columns_});
  if (is_uneven()) {
    at::Tensor table = uneven_levels(at.device()), index = indices_.to(at::kLong).flatten();
    at::Tensor toward =
        at::where(distance < 0, -at::ones_like(distance), at::ones_like(distance)).to(at::kLong);
    at::Tensor next = (index + toward.flatten()).clamp(0, 15);
    distance = distance /
               (table.index_select(0, next) - table.index_select(0, index)).abs().clamp_min(1).view_as(at);
  }
  // No gradient reaches a place beyond the last level.
  places_ = (at + distance.clamp(-kNearLevel, kNearLevel)).clamp(0, last_index()).set_requires_grad(true);
  return places_;
}

TrainedMatrix::Rounding GridMatrix::train_rounding(const at::Tensor& wanted, bool keeps_zeros) {
  if (keeps_zeros) {
    at::NoGradGuard no_grad;
    kept_ = (wanted == 0).logical_and(weights() == 0);
  }
  at::Tensor levels = train_levels(wanted);
  return {{levels}, train_run_scales()};
}

void GridMatrix::settle() {
  at::NoGradGuard no_grad;
  block_scales_ = block_scales().detach();
  if (has_mins()) block_mins_ = block_mins().detach();
  scale_changes_ = min_changes_ = at::Tensor();
  if (run_scales_.defined())
    run_scales_ = as_whole(run_scales_.detach(), grid_->scale_low, grid_->scale_high);
  if (run_mins_.defined()) run_mins_ = as_whole(run_mins_.detach(), 0, grid_->min_high);
  if (places_.defined()) indices_ = indices().detach().to(at::kByte);
  places_ = kept_ = at::Tensor();
}

std::vector<uint8_t> GridMatrix::pack() const {
  at::NoGradGuard no_grad;
  GridMatrix settled = *this;
  settled.settle();
  settled.move_to(at::kCPU);
  const int64_t n_block_bytes = int64_t(info(type()).n_bytes_per_block), n_block_runs = grid_->n_runs();
  std::vector<uint8_t> bytes(size_t(n_rows_ * n_blocks_ * n_block_bytes));
  at::parallel_for(0, n_rows_, 8, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t b = 0; b < n_blocks_; ++b) {
        GridBlock block = {};
        block.scale = half_from_float(row_of<float>(settled.block_scales_, row)[b]);
        if (has_mins()) block.min = half_from_float(row_of<float>(settled.block_mins_, row)[b]);
        for (int64_t run = 0; has_runs() && run < n_block_runs; ++run) {
          block.run_scales[run] = int16_t(row_of<float>(settled.run_scales_, row)[b * n_block_runs + run]);
          if (has_mins())
            block.run_mins[run] = int16_t(row_of<float>(settled.run_mins_, row)[b * n_block_runs + run]);
        }
        std::memcpy(block.codes, row_of<uint8_t>(settled.indices_, row) + b * grid_->n_values,
                    size_t(grid_->n_values));
        grid_->pack(block, bytes.data() + (row * n_blocks_ + b) * n_block_bytes);
      }
  });
  return bytes;
}

}  // namespace edgellm
