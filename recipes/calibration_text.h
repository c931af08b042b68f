// The text a model is calibrated and judged on while it is compressed: tokens cut into windows, some kept
// apart for the final check.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/language_model.h"
#include "core/model_file/gguf.h"
#include "core/text/tokenizer.h"
#include "evaluate/text_windows.h"
#include "recipes/text_source.h"

namespace edgellm {

// What a text came from.
struct TextShare {
  std::string name;  // the file's, or "drawn from the model itself"
  size_t n_tokens = 0;
  std::optional<double> weight;  // where the user gave one
};

struct CalibrationText {
  std::vector<TextShare> sources;
  std::vector<std::vector<Token>> windows;  // all of n_context tokens
  size_t n_context = 0;
  std::string hash;  // of the tokens

  std::vector<std::string> source_names() const;
};

// "sources", "windows", "window_tokens" and "hash", as reports have them: docs/formats.md.
nlohmann::json to_json(const CalibrationText& text);

// All files, each cut into windows of n_context tokens, each starting with BOS where the model uses one; then
// shuffled with a fixed seed, so that any part of the windows is a fair sample of all files. Without weights
// all text is used; with them each file gives its share, one without a weight counting as 1, and the one that
// runs out first bounds the others. Dialogues (recipes/dialogues.h) are one after another in the chat format
// of the model, where it has one. Special tokens in the text are taken as such. Error when a file is not as
// read_source_text() or read_dialogues() want it or shorter than a window, when the model's template refuses
// a dialogue, or when all together give fewer than `fewest_windows` windows.
Result<CalibrationText> read_calibration_text(std::span<const TextSource> sources, const GgufFile& model,
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
