#include "apps/cli/duration.h"

#include <charconv>
#include <fmt/format.h>

namespace edgellm {

Result<double> parse_duration(std::string_view text) {
  const Error refused{fmt::format("'{}' is no time: write it like 90m, 3h or 1h30m", text)};
  constexpr std::string_view kUnits = "hms";
  constexpr double kSeconds[] = {3600, 60, 1};
  constexpr double kLongest = 366.0 * 24 * 3600;
  double seconds = 0;
  size_t next_unit = 0;
  while (!text.empty()) {
    double number = 0;
    auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    text.remove_prefix(size_t(end - text.data()));
    if (error != std::errc() || text.empty() || !(number >= 0)) return refused;
    const size_t unit = kUnits.find(text.front(), next_unit);
    if (unit == std::string_view::npos) return refused;
    seconds += number * kSeconds[unit];
    next_unit = unit + 1;
    text.remove_prefix(1);
  }
  if (!(seconds > 0 && seconds <= kLongest)) return refused;
  return seconds;
}

std::function<std::string(const std::string&)> duration_check() {
  return [](const std::string& text) -> std::string {
    auto seconds = parse_duration(text);
    return seconds.ok() ? "" : seconds.error().message;
  };
}

std::string duration_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", int(seconds) / 60, int(seconds) % 60);
  return fmt::format("{}h{:02}m", int(seconds) / 3600, int(seconds) / 60 % 60);
}

}  // namespace edgellm
