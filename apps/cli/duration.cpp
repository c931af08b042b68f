#include "apps/cli/duration.h"

#include <cmath>
#include <cstdlib>
#include <fmt/format.h>

namespace edgellm {

Result<double> parse_duration(std::string_view text) {
  const Error refused{fmt::format("'{}' is no time: write it like 90m, 3h or 1h30m", text)};
  constexpr std::string_view kUnits = "hms";
  constexpr double kSeconds[] = {3600, 60, 1};
  std::string copy(text);
  const char* at = copy.c_str();
  double seconds = 0;
  size_t next_unit = 0;
  while (*at) {
    char* end = nullptr;
    const bool is_number = (*at >= '0' && *at <= '9') || *at == '.';
    const double number = is_number ? std::strtod(at, &end) : 0;
    const size_t unit = is_number && *end ? kUnits.find(*end, next_unit) : std::string_view::npos;
    if (unit == std::string_view::npos) return refused;
    seconds += number * kSeconds[unit];
    next_unit = unit + 1;
    at = end + 1;
  }
  if (!std::isfinite(seconds) || seconds <= 0) return refused;
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
