// Progress of one stage of long work. A library reports through a Progress it is given and never prints
// itself.
#pragma once

#include <functional>
#include <string>

namespace edgellm {

struct ProgressReport {
  std::string stage;         // "quantizing", "measuring sensitivity", ...
  double fraction = 0;       // 0 to 1
  double seconds_spent = 0;  // in this stage
  double seconds_left = 0;   // estimated from the fraction; negative while unknown
  std::string note;          // the item in work, may be empty
};
using Progress = std::function<void(const ProgressReport&)>;

// Counts the items of one stage and reports at most ten times a second, and at the end.
class ProgressMeter {
 public:
  // `progress` may be empty: then nothing is reported. n_done_before: items a resumed run finds already done.
  ProgressMeter(const Progress& progress, std::string stage, double n_items, double n_done_before = 0);
  void add(double n_items, const std::string& note = {});
  void finish();

 private:
  void report(const std::string& note, bool always);
  const Progress& progress_;
  std::string stage_;
  double n_items_, n_done_, n_done_before_;
  double started_, reported_ = -1;
};

// Seconds on a monotonic clock.
double monotonic_seconds();

}  // namespace edgellm
