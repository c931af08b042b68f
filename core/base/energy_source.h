// Where the kernel tells energy or power: processors' counters (RAPL), a board's sensors (hwmon: INA226,
// INA3221 and others), or a battery that is discharging.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

// The value of `file`, times that of `other` where there is one, times `unit`.
struct EnergySensor {
  std::string name;                   // "package-0", "VDD_IN"
  std::filesystem::path file, other;  // `other`: the volts to a sensor of amperes; empty: none
  double unit = 1;
  bool is_counter = false;            // joules that add up; otherwise watts now
  double counter_range = 0;           // joules at which a counter begins at zero again; 0: never
  std::filesystem::path status = {};  // must say "Discharging" while it is read; empty: always valid
};

struct EnergySource {
  std::string name;                   // "RAPL (package-0, dram)"
  std::vector<EnergySensor> sensors;  // what they feed is disjoint: their sum is the figure
};

// The first of these that can be read:
// 1. RAPL: every package with its memory; "psys" where there is no package.
// 2. hwmon, graphics and drives left out: the sensors whose label names a whole (total, system, socket, the
//    input rail); without one, all sensors of the chips of the first kind, one rail each.
// 3. Batteries that are discharging.
// Error: what was found and why it cannot be read, or that there is none.
Result<EnergySource> find_energy_source(const std::filesystem::path& root);

// Joules or watts now. Error when it can no longer be read, or the battery no longer discharges.
Result<double> read_sensor(const EnergySensor& sensor);

}  // namespace edgellm
