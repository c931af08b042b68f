#include "core/base/energy_meter.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

#include "core/base/progress.h"

namespace edgellm {

Status EnergySum::sample(double seconds) {
  std::vector<double> now;
  for (const EnergySensor& sensor : source_.sensors) {
    EDGELLM_ASSIGN_OR_RETURN(double value, read_sensor(sensor));
    now.push_back(value);
  }
  for (size_t i = 0; i < last_.size(); ++i) {
    const EnergySensor& sensor = source_.sensors[i];
    if (!sensor.is_counter) {
      joules_ += (last_[i] + now[i]) / 2 * (seconds - last_seconds_);
      continue;
    }
    double spent = now[i] - last_[i];
    if (spent < 0) spent += sensor.counter_range;
    if (spent < 0) return Error{fmt::format("the energy counter {} ran backwards", sensor.file.string())};
    joules_ += spent;
  }
  last_ = std::move(now);
  last_seconds_ = seconds;
  return {};
}

Result<std::unique_ptr<EnergyMeter>> EnergyMeter::start(const std::filesystem::path& root) {
  EDGELLM_ASSIGN_OR_RETURN(EnergySource source, find_energy_source(root));
  std::unique_ptr<EnergyMeter> meter(new EnergyMeter(std::move(source)));
  EDGELLM_RETURN_IF_ERROR(meter->sample());
  meter->thread_ = std::thread([m = meter.get()] { m->watch(); });
  return meter;
}

EnergyMeter::~EnergyMeter() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status EnergyMeter::sample() {
  if (!failed_)
    if (Status status = sum_.sample(monotonic_seconds()); !status.ok()) failed_ = status.error();
  return failed_ ? Status(*failed_) : Status();
}

Result<double> EnergyMeter::joules() {
  std::lock_guard lock(mutex_);
  EDGELLM_RETURN_IF_ERROR(sample());
  return sum_.joules();
}

void EnergyMeter::watch() {
  const auto& sensors = sum_.source().sensors;
  bool has_power = std::any_of(sensors.begin(), sensors.end(), [](const auto& s) { return !s.is_counter; });
  auto interval = std::chrono::milliseconds(has_power ? 50 : 5000);
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, interval, [this] { return stopping_; }))
    if (!sample().ok()) return;
}

}  // namespace edgellm
