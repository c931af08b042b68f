#include "evaluate/text_windows.h"

#include <fmt/format.h>

namespace edgellm {

std::string_view to_string(WindowConvention convention) {
  return convention == WindowConvention::second_half
             ? "second half of each window scored, BOS first (llama.cpp)"
             : "all tokens of each window scored (papers)";
}

Result<TextWindows> cut_windows(std::span<const Token> tokens, size_t n_context, size_t most_windows,
                                WindowConvention convention, Token bos) {
  if (n_context < 8)
    return Error{fmt::format("windows of {} tokens are too short: at least 8 are needed", n_context)};
  size_t n_windows = tokens.size() / n_context;
  if (n_windows == 0)
    return Error{
        fmt::format("the text has {} tokens, fewer than one window of {}", tokens.size(), n_context)};
  if (most_windows) n_windows = std::min(n_windows, most_windows);
  TextWindows result;
  result.convention = convention;
  result.n_context = n_context;
  result.first_row = convention == WindowConvention::second_half ? n_context / 2 : 0;
  for (size_t i = 0; i < n_windows; ++i) {
    auto piece = tokens.subspan(i * n_context, n_context);
    result.windows.emplace_back(piece.begin(), piece.end());
    if (convention == WindowConvention::second_half && bos >= 0) result.windows.back()[0] = bos;
  }
  return result;
}

}  // namespace edgellm
