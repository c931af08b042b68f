#include "recipes/calibration_text.h"

#include <algorithm>
#include <fmt/format.h>
#include <random>

#include "core/base/content_hash.h"
#include "core/base/output_file.h"

namespace edgellm {
namespace {

void add_windows(const std::string& text, const Tokenizer& tokenizer, size_t n_context,
                 CalibrationText& out) {
  std::vector<Token> tokens = tokenizer.encode(text, {.add_special = false, .parse_special = true});
  bool bos = tokenizer.adds_bos() && tokenizer.bos() >= 0;
  size_t n_fresh = n_context - (bos ? 1 : 0);
  for (size_t at = 0; at + n_fresh <= tokens.size(); at += n_fresh) {
    std::vector<Token> window;
    if (bos) window.push_back(tokenizer.bos());
    window.insert(window.end(), tokens.begin() + ptrdiff_t(at), tokens.begin() + ptrdiff_t(at + n_fresh));
    out.windows.push_back(std::move(window));
  }
}

Status finish(CalibrationText& text, size_t n_context, size_t fewest_windows) {
  if (text.windows.size() < fewest_windows)
    return Error{
        fmt::format("the calibration text gives {} windows of {} tokens; at least {} are needed (about {} "
                    "words in all)",
                    text.windows.size(), n_context, fewest_windows, fewest_windows * n_context * 3 / 4)};
  text.n_context = n_context;
  // Not std::shuffle: its result is not the same in every standard library.
  std::mt19937_64 random(20240601);
  for (size_t i = text.windows.size(); i > 1; --i) std::swap(text.windows[i - 1], text.windows[random() % i]);
  std::string all;
  for (const auto& window : text.windows) all += hash_bytes(std::as_bytes(std::span(window)));
  text.hash = hash_text(all);
  return {};
}

}  // namespace

Result<CalibrationText> read_calibration_text(const std::vector<std::filesystem::path>& files,
                                              const Tokenizer& tokenizer, size_t n_context,
                                              size_t fewest_windows) {
  CalibrationText result;
  for (const auto& file : files) {
    EDGELLM_ASSIGN_OR_RETURN(std::string text, read_text_file(file));
    add_windows(text, tokenizer, n_context, result);
    result.sources.push_back(file.filename().string());
  }
  EDGELLM_RETURN_IF_ERROR(finish(result, n_context, fewest_windows));
  return result;
}

Result<CalibrationText> cut_calibration_text(const std::string& text, const std::string& source,
                                             const Tokenizer& tokenizer, size_t n_context,
                                             size_t fewest_windows) {
  CalibrationText result;
  add_windows(text, tokenizer, n_context, result);
  result.sources.push_back(source);
  EDGELLM_RETURN_IF_ERROR(finish(result, n_context, fewest_windows));
  return result;
}

TextParts text_parts(const CalibrationText& text, size_t n_verify, size_t n_search, size_t first_row) {
  const size_t n_most = text.windows.size() / 4;
  TextParts parts;
  parts.n_verify = std::min(n_verify, n_most), parts.n_search = std::min(n_search, n_most);
  parts.verify = windows_of(text, 0, parts.n_verify, first_row);
  parts.search = windows_of(text, parts.n_verify, parts.n_search, first_row);
  parts.little = windows_of(text, parts.n_verify, std::max<size_t>(1, parts.n_search / 4), first_row);
  return parts;
}

TextWindows windows_of(const CalibrationText& text, size_t first, size_t count, size_t first_row) {
  TextWindows windows;
  windows.convention = WindowConvention::all_tokens;
  windows.n_context = text.n_context;
  windows.first_row = first_row;
  for (size_t i = first; i < first + count && i < text.windows.size(); ++i)
    windows.windows.push_back(text.windows[i]);
  return windows;
}

}  // namespace edgellm
