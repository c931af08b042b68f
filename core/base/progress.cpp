#include "core/base/progress.h"

#include <algorithm>
#include <chrono>

namespace edgellm {

double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

ProgressMeter::ProgressMeter(const Progress& progress, std::string stage, double n_items,
                             double n_done_before)
    : progress_(progress),
      stage_(std::move(stage)),
      n_items_(n_items),
      n_done_(n_done_before),
      n_done_before_(n_done_before),
      started_(monotonic_seconds()) {
  report({}, true);
}

void ProgressMeter::add(double n_items, const std::string& note) {
  n_done_ += n_items;
  report(note, false);
}

void ProgressMeter::finish() {
  n_done_ = n_items_;
  report({}, true);
}

void ProgressMeter::report(const std::string& note, bool always) {
  if (!progress_) return;
  double now = monotonic_seconds();
  if (!always && now - reported_ < 0.1) return;
  reported_ = now;
  ProgressReport r;
  r.stage = stage_;
  r.note = note;
  r.fraction = n_items_ > 0 ? std::min(1.0, n_done_ / n_items_) : 1.0;
  r.seconds_spent = now - started_;
  double done_here = n_done_ - n_done_before_;
  r.seconds_left = done_here > 0 ? r.seconds_spent * std::max(0.0, n_items_ - n_done_) / done_here : -1;
  progress_(r);
}

}  // namespace edgellm
