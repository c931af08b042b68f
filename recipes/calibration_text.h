// The text a model is calibrated and judged on while it is compressed: tokens cut into windows, some kept
// apart for the final check.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/language_model.h"
#include "core/text/tokenizer.h"
#include "evaluate/text_windows.h"

namespace edgellm {

struct CalibrationText {
  std::vector<std::string> sources;         // files, or "drawn from the model"
  std::vector<std::vector<Token>> windows;  // all of n_context tokens
  size_t n_context = 0;
  std::string hash;  // of the tokens
};

// All files, one after another, cut into windows of n_context tokens, each starting with BOS where the model
// uses one; then shuffled with a fixed seed, so that any part of the windows is a fair sample of all files.
// Special tokens in the text are taken as such. Error when a file is missing, or all together give fewer than
// `fewest_windows` windows.
Result<CalibrationText> read_calibration_text(const std::vector<std::filesystem::path>& files,
                                              const Tokenizer& tokenizer, size_t n_context,
                                              size_t fewest_windows);

// The same from one string.
Result<CalibrationText> cut_calibration_text(const std::string& text, const std::string& source,
                                             const Tokenizer& tokenizer, size_t n_context,
                                             size_t fewest_windows);

// The parts of a text that plans are measured on.
struct TextParts {
  size_t n_verify = 0, n_search = 0;  // windows of each
  // The first windows, for the final check; the next, to choose by; the beginning of those, for first looks.
  TextWindows verify, search, little;
};
// Windows are in random order, so that any are a fair sample. No part is more than a quarter of all.
TextParts text_parts(const CalibrationText& text, size_t n_verify, size_t n_search, size_t first_row);

// Windows first .. first + count - 1 as text to judge by. All predictions from first_row on are scored.
TextWindows windows_of(const CalibrationText& text, size_t first, size_t count, size_t first_row);

}  // namespace edgellm
