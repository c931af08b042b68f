#include "compress/quantize/feedback_panel.h"

#include <cassert>
#include <utility>
#include <vector>

#include "core/blocks/codebook_rounding.h"
#include "core/blocks/exact_zero.h"

namespace edgellm {
namespace {

// Weights around 1 for the search of a block's scales.
void fit_weights(const float* importance, size_t n, float* weights) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += double(importance[i]);
  const float factor = sum > 0 ? float(double(n) / sum) : 0.0f;
  for (size_t i = 0; i < n; ++i) weights[i] = importance[i] * factor + 1e-6f;
}

std::vector<float> block_weights(const float* importance, size_t n_columns, size_t n_block) {
  std::vector<float> weights(n_columns);
  for (size_t i = 0; i < n_columns; i += n_block) fit_weights(importance + i, n_block, weights.data() + i);
  return weights;
}

const BlockRounding& rounding_of(const BlockPanel&) {
  return block_rounding();
}
const CodebookRounding& rounding_of(const CodebookPanel&) {
  return codebook_rounding();
}

// All that BlockPanel and CodebookPanel do alike.
template <class Panel>
class PanelOf : public FeedbackPanel {
 public:
  PanelOf(Panel panel, std::vector<float> weights) : panel_(std::move(panel)), weights_(std::move(weights)) {}

  void improve(const PanelCurvature& curvature, const GridTrials& trials, int n_passes,
               const float* gradients, float* errors, size_t stride, size_t begin, size_t end) override {
    rounding_of(panel_).improve(panel_, curvature, trials, n_passes, gradients, errors, stride, begin, end);
  }
  void pack(uint8_t* bytes, size_t row_bytes, size_t begin, size_t end) const override {
    panel_.pack(bytes, row_bytes, begin, end);
  }
  void decode(float* values, size_t stride, size_t begin, size_t end) const override {
    panel_.decode(values, stride, begin, end);
  }

 protected:
  Panel panel_;
  std::vector<float> weights_;
};

class LevelPanel : public PanelOf<BlockPanel> {
 public:
  LevelPanel(const BlockGrid& grid, size_t n_columns, size_t n_rows, const float* importance,
             bool keeps_zeros)
      : PanelOf(BlockPanel(grid, n_columns / size_t(grid.n_values), n_rows),
                block_weights(importance, n_columns, size_t(grid.n_values))) {
    if (keeps_zeros) panel_.kept.assign(panel_.levels.size(), 1);
  }

  void round(const PanelFeedback& feedback, const GridTrials& trials, const float* values, float* targets,
             float* errors, size_t stride, size_t begin, size_t end) override {
    const size_t n = size_t(panel_.grid().n_values);
    if (!panel_.kept.empty()) panel_.keep_zeros(values, stride, begin, end);
    const int8_t* kept = panel_.kept.empty() ? nullptr : panel_.kept.data();
    std::vector<float> compensated(n * (end - begin));
    for (size_t block = 0; block < panel_.n_blocks(); ++block) {
      block_rounding().compensate({panel_.n_values(), block * n, n}, feedback, values, targets, kept, stride,
                                  begin, end, compensated.data());
      panel_.fit(block, compensated.data(), end - begin, weights_.data() + block * n, begin, end);
      block_rounding().round(panel_, block, feedback, trials, values, targets, errors, stride, begin, end);
    }
  }
};

class GroupPanel : public PanelOf<CodebookPanel> {
 public:
  GroupPanel(const CodebookGrid& grid, size_t n_rows, const float* importance)
      : PanelOf(CodebookPanel(grid, n_rows),
                block_weights(importance, size_t(kCodebookBlockValues), size_t(kCodebookBlockValues))) {}

  void round(const PanelFeedback& feedback, const GridTrials& trials, const float* values, float* targets,
             float* errors, size_t stride, size_t begin, size_t end) override {
    constexpr size_t n = size_t(kCodebookBlockValues);
    std::vector<float> compensated(n * (end - begin));
    block_rounding().compensate({n, 0, n}, feedback, values, targets, nullptr, stride, begin, end,
                                compensated.data());
    panel_.fit(compensated.data(), end - begin, weights_.data(), begin, end);
    codebook_rounding().round(panel_, feedback, trials, values, targets, errors, stride, begin, end);
  }
};

}  // namespace

std::optional<FeedbackGrid> find_feedback_grid(TensorType type) {
  if (const BlockGrid* grid = find_block_grid(type)) {
    const size_t n = size_t(grid->n_values);
    return FeedbackGrid{type, n, size_t(grid->n_run_values), kMaxPanelValues / n * n};
  }
  if (const CodebookGrid* grid = find_codebook_grid(type)) {
    constexpr size_t n = size_t(kCodebookBlockValues);
    return FeedbackGrid{type, n, size_t(grid->n_values_per_sub_block()), n};
  }
  return std::nullopt;
}

std::unique_ptr<FeedbackPanel> make_feedback_panel(const FeedbackGrid& grid, size_t n_columns, size_t n_rows,
                                                   const float* importance, bool keeps_zeros) {
  assert(!keeps_zeros || holds_exact_zero(grid.type));
  if (const BlockGrid* levels = find_block_grid(grid.type))
    return std::make_unique<LevelPanel>(*levels, n_columns, n_rows, importance, keeps_zeros);
  assert(n_columns == size_t(kCodebookBlockValues));
  return std::make_unique<GroupPanel>(*find_codebook_grid(grid.type), n_rows, importance);
}

}  // namespace edgellm
