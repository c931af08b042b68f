#include "recipes/calibration_windows.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numeric>
#include <random>

namespace edgellm {
namespace {

Status check(std::span<const CalibrationSource> sources, const WindowOptions& options) {
  if (sources.empty()) return Error{"calibration text: wanted at least one source, got none"};
  size_t fewest_tokens = options.bos >= 0 ? 2 : 1;
  if (options.n_windows == 0 || options.n_tokens < fewest_tokens)
    return Error{fmt::format("calibration text: wanted windows of at least {} tokens, got {} windows of {}",
                             fewest_tokens, options.n_windows, options.n_tokens)};
  for (const CalibrationSource& source : sources)
    if (!(source.weight > 0) || !std::isfinite(source.weight))
      return Error{
          fmt::format("calibration text '{}': wanted a weight above 0, got {}", source.name, source.weight)};
  return {};
}

std::vector<size_t> shares_of(std::span<const CalibrationSource> sources, size_t n_windows) {
  double total = 0;
  for (const CalibrationSource& source : sources) total += source.weight;
  std::vector<size_t> shares;
  std::vector<double> remainders;
  for (const CalibrationSource& source : sources) {
    double exact = source.weight / total * double(n_windows);
    shares.push_back(size_t(exact));
    remainders.push_back(exact - std::floor(exact));
  }
  std::vector<size_t> order(sources.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  size_t given = std::accumulate(shares.begin(), shares.end(), size_t{0});
  for (size_t i = 0; given < n_windows; ++i, ++given) ++shares[order[i % order.size()]];
  return shares;
}

}  // namespace

size_t most_windows(std::span<const CalibrationSource> sources, const WindowOptions& options) {
  double total = 0, most = std::numeric_limits<double>::infinity();
  size_t n_all = 0;
  for (const CalibrationSource& source : sources) total += source.weight;
  for (const CalibrationSource& source : sources) {
    const size_t n = source.tokens.size() / options.n_fresh();
    n_all += n;
    most = std::min(most, double(n) * total / source.weight);
  }
  // Fewer where largest remainders would ask a source for a window more than it has.
  for (size_t n = size_t(std::min(most * (1 + 1e-12), double(n_all))); n > 0; --n) {
    const std::vector<size_t> shares = shares_of(sources, n);
    bool has_enough = true;
    for (size_t s = 0; s < sources.size(); ++s)
      has_enough = has_enough && shares[s] <= sources[s].tokens.size() / options.n_fresh();
    if (has_enough) return n;
  }
  return 0;
}

Result<std::vector<std::vector<Token>>> draw_windows(std::span<const CalibrationSource> sources,
                                                     const WindowOptions& options) {
  EDGELLM_RETURN_IF_ERROR(check(sources, options));
  const size_t n_fresh = options.n_fresh();
  std::vector<size_t> shares = shares_of(sources, options.n_windows);
  std::vector<std::vector<Token>> windows;
  for (size_t s = 0; s < sources.size(); ++s) {
    const std::vector<Token>& tokens = sources[s].tokens;
    size_t n = shares[s], n_needed = n * n_fresh;
    if (tokens.size() < n_needed || tokens.empty())
      return Error{fmt::format(
          "calibration text '{}' has {} tokens; its {} windows of {} tokens need {} (about {} words)",
          sources[s].name, tokens.size(), n, options.n_tokens, n_needed, n_needed * 3 / 4)};
    for (size_t i = 0; i < n; ++i) {
      const size_t at = i * (tokens.size() / n_fresh) / n * n_fresh;
      std::vector<Token>& window = windows.emplace_back();
      if (options.bos >= 0) window.push_back(options.bos);
      window.insert(window.end(), tokens.begin() + ptrdiff_t(at), tokens.begin() + ptrdiff_t(at + n_fresh));
    }
  }
  // Not std::shuffle: its result is not the same in every standard library.
  std::mt19937_64 random(20240601);
  for (size_t i = windows.size(); i > 1; --i) std::swap(windows[i - 1], windows[random() % i]);
  return windows;
}

}  // namespace edgellm
