#include <fmt/format.h>
#include <memory>
#include <unistd.h>

#include "apps/cli/command.h"

namespace edgellm {
namespace {

bool line_is_open = false;

std::string duration(double seconds) {
  if (seconds < 0) return "?";
  auto whole = static_cast<long>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  if (whole >= 60) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}s", whole);
}

}  // namespace

Progress terminal_progress() {
  bool terminal = ::isatty(STDERR_FILENO);
  auto printed = std::make_shared<double>(-1e9);
  return [terminal, printed](const ProgressReport& r) {
    bool ended = r.fraction >= 1.0;
    std::string line = fmt::format("{}: {:.0f}%, {} spent, {} left", r.stage, 100 * r.fraction,
                                   duration(r.seconds_spent), ended ? "0s" : duration(r.seconds_left));
    if (!r.note.empty()) line += " (" + r.note + ")";
    if (terminal) {
      fmt::print(stderr, "\r\033[K{}{}", line.substr(0, 118), ended ? "\n" : "");
      line_is_open = !ended;
    } else if (double now = monotonic_seconds(); ended || now - *printed > 30) {
      *printed = now;
      fmt::print(stderr, "{}\n", line);
    }
    std::fflush(stderr);
  };
}

void end_progress_line() {
  if (line_is_open) fmt::print(stderr, "\n");
  line_is_open = false;
}

}  // namespace edgellm
