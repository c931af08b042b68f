// The reference model's next-token log-probabilities on a text, kept on disk so that many candidates can be
// compared with one run of the reference. Layout in docs/formats.md.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/mapped_file.h"
#include "core/base/progress.h"
#include "core/language_model.h"
#include "evaluate/perplexity.h"
#include "evaluate/text_windows.h"

namespace edgellm {

// Each row takes 2 bytes an entry: log-probabilities from the largest down to 24 nats below it, in 65535
// equal steps (an error of at most 0.0002 nats; what lies lower has less than 4e-11 of the probability and is
// set to that bound).
class ReferenceLogits {
 public:
  // Runs the reference over `text` and writes the file, all or nothing. `key` names what it was made from;
  // open() of a file with another key or shape is an error. Only a file of reference logits is replaced.
  // Returns the reference's own perplexity on the text.
  static Result<PerplexityResult> record(LanguageModel& reference, const TextWindows& text,
                                         const std::string& key, const std::filesystem::path& path,
                                         const Progress& progress = {});
  static Result<ReferenceLogits> open(const std::filesystem::path& path, const TextWindows& text,
                                      const std::string& key);

  size_t n_vocabulary() const { return n_vocabulary_; }
  // Log-probabilities of the scored row `row` (0 .. n_scored_per_window - 1) of a window into out:
  // [n_vocabulary].
  void read_row(size_t window, size_t row, std::span<float> out) const;
  // Gives the resident pages of a window back.
  void give_back(size_t window) const;

 private:
  explicit ReferenceLogits(MappedFile file) : file_(std::move(file)) {}
  size_t row_bytes() const { return 8 + (n_vocabulary_ * 2 + 7) / 8 * 8; }
  MappedFile file_;
  size_t n_vocabulary_ = 0, n_rows_per_window_ = 0, data_offset_ = 0;
};

}  // namespace edgellm
