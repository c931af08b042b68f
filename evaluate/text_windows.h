// The windows of tokens that a model is judged on, in the two conventions of the field. Perplexities of
// different conventions or window lengths do not compare.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "core/language_model.h"

namespace edgellm {

enum class WindowConvention {
  // llama-perplexity's: the first token of every window is replaced by BOS where the model uses one, and only
  // the
  // predictions of the second half are scored.
  second_half,
  // The papers': windows side by side, every token but the first of each window is scored, no BOS put in.
  all_tokens,
};
std::string_view to_string(WindowConvention convention);

struct TextWindows {
  WindowConvention convention = WindowConvention::second_half;
  size_t n_context = 0;                     // tokens in each window
  size_t first_row = 0;                     // the first position whose prediction is scored
  std::vector<std::vector<Token>> windows;  // [n_windows][n_context]
  // Predictions scored in one window: of positions first_row .. n_context - 2.
  size_t n_scored_per_window() const { return n_context - 1 - first_row; }
};

// tokens: the whole text, BOS first where the model adds one. bos: -1 when the model does not put BOS first.
// most_windows 0: all that are complete. Error when the text does not fill one window.
Result<TextWindows> cut_windows(std::span<const Token> tokens, size_t n_context, size_t most_windows,
                                WindowConvention convention, Token bos);

}  // namespace edgellm
