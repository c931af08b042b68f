// Joules that the machine took over an interval, where the kernel tells.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "core/base/energy_source.h"

namespace edgellm {

// Adds up a source's readings; knows no clock of its own.
class EnergySum {
 public:
  explicit EnergySum(EnergySource source) : source_(std::move(source)) {}
  const EnergySource& source() const { return source_; }
  // Reads every sensor at this moment. Power is taken to run straight between two readings; a counter may
  // begin at zero again once between them. After an Error the sum is of no use.
  Status sample(double seconds);
  double joules() const { return joules_; }

 private:
  EnergySource source_;
  std::vector<double> last_;  // by sensor; empty before the first reading
  double last_seconds_ = 0, joules_ = 0;
};

// Reads the source from a thread of its own: power 20 times a second, counters every few seconds, which is
// before the fastest of them begins again.
class EnergyMeter {
 public:
  // Error: why this machine tells no energy.
  static Result<std::unique_ptr<EnergyMeter>> start(const std::filesystem::path& root = "/");
  ~EnergyMeter();
  EnergyMeter(const EnergyMeter&) = delete;
  EnergyMeter& operator=(const EnergyMeter&) = delete;

  const std::string& source() const { return sum_.source().name; }
  // Since the start, up to now: of everything the source feeds, its idle share included.
  Result<double> joules();

 private:
  explicit EnergyMeter(EnergySource source) : sum_(std::move(source)) {}
  Status sample();
  void watch();

  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  EnergySum sum_;
  std::optional<Error> failed_;  // the first failure; there is no figure after it
  std::thread thread_;
};

}  // namespace edgellm
