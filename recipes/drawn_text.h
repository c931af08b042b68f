// Calibration text drawn from the model itself, for when the user gives none: continuations of short built-in
// prompts in several domains (stories, facts, code, arithmetic, dialogue, other languages), sampled at
// temperature 1.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/base/progress.h"
#include "core/base/result.h"
#include "core/text/tokenizer.h"
#include "recipes/calibration_text.h"
#include "runtime/graph/decoder.h"

namespace edgellm {

// Draws until n_tokens tokens are there, many continuations at a time; the decoder should be batch_invariant.
// Finished continuations are kept in `log`, one JSON line each, and are not drawn again by a resumed run; the
// same model gives the same text.
Result<std::string> draw_text(Decoder& decoder, const Tokenizer& tokenizer, size_t n_tokens,
                              const std::filesystem::path& log, const Progress& progress);

// How much calibration text to draw.
struct DrawnText {
  size_t n_windows = 48;
  size_t n_window_tokens = 256;
  size_t fewest_windows = 12;
  std::filesystem::path log;  // as of draw_text
  size_t n_threads = 0;
  bool gives_back_weights = false;  // as of DecoderOptions
  // Gives the decoder other weights before it draws; empty: the source's.
  std::function<Status(Decoder&)> weights = {};
};

// The same with a decoder of its own, cut into windows.
Result<CalibrationText> draw_calibration_text(std::shared_ptr<const GgufFile> source,
                                              const Tokenizer& tokenizer, const DrawnText& wanted,
                                              const Progress& progress);

}  // namespace edgellm
