// A panel of columns of a matrix while it is rounded with feedback, whatever its type: what GPTQ asks of a
// format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/blocks/block_rounding.h"
#include "core/blocks/tensor_type.h"

namespace edgellm {

class FeedbackPanel {
 public:
  virtual ~FeedbackPanel() = default;

  // Chooses scales and rounds rows [begin, end), block after block, each with scales of least error for the
  // values as compensated until there. values, targets, errors: [columns of the panel, stride] as
  // BlockRounding's. begin and end are multiples of kRowStep, here and below.
  virtual void round(const PanelFeedback& feedback, const GridTrials& trials, const float* values,
                     float* targets, float* errors, size_t stride, size_t begin, size_t end) = 0;
  // As BlockRounding's.
  virtual void improve(const PanelCurvature& curvature, const GridTrials& trials, int n_passes,
                       const float* gradients, float* errors, size_t stride, size_t begin, size_t end) = 0;
  // Writes the blocks of rows [begin, end): row r's at bytes + r * row_bytes. These rows are any.
  virtual void pack(uint8_t* bytes, size_t row_bytes, size_t begin, size_t end) const = 0;
  // Values of rows [begin, end), exactly as the format's decoder gives them: [n_columns, stride].
  virtual void decode(float* values, size_t stride, size_t begin, size_t end) const = 0;
};

struct FeedbackGrid {
  TensorType type;
  size_t n_block_values;
  size_t n_run_values;    // that share what PanelCurvature factors at once
  size_t n_panel_values;  // of the widest panel
};

// None for a type that cannot be rounded with feedback: those that hold numbers as they are, and those that
// are not written.
std::optional<FeedbackGrid> find_feedback_grid(TensorType type);

// importance: [n_columns], D of the panel's columns. n_columns: a multiple of the block, at most the widest
// panel. keeps_zeros: values that are exactly zero are rounded to zero, whatever the feedback; only for a
// type that holds one (core/blocks/exact_zero.h).
std::unique_ptr<FeedbackPanel> make_feedback_panel(const FeedbackGrid& grid, size_t n_columns, size_t n_rows,
                                                   const float* importance, bool keeps_zeros);

}  // namespace edgellm
