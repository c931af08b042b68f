// The text of a calibration: windows of one length drawn from several sources, each with its share.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/language_model.h"

namespace edgellm {

struct CalibrationSource {
  std::string name;           // for messages: the file, or "drawn from the model"
  std::vector<Token> tokens;  // without a BOS; dialogues with their template's special tokens
  double weight = 1;          // its share of the windows, relative to the other sources'
};

struct WindowOptions {
  size_t n_windows = 128;
  size_t n_tokens = 256;  // of a window, BOS included
  Token bos = -1;         // put first in every window; negative: none
  size_t n_fresh() const { return n_tokens - (bos >= 0 ? 1 : 0); }
};

// The most windows that the sources can give with their shares: the one that runs out first bounds them.
size_t most_windows(std::span<const CalibrationSource> sources, const WindowOptions& options);

// The windows [n_windows][n_tokens]: each source, cut into windows from its start, gives its share (rounded
// by largest remainders), evenly spread over it. The order is shuffled, the same on every machine. Error when
// a source is empty or too short (says how many tokens it has and needs), or weights are not positive.
Result<std::vector<std::vector<Token>>> draw_windows(std::span<const CalibrationSource> sources,
                                                     const WindowOptions& options);

}  // namespace edgellm
