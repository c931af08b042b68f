#include "core/base/energy_source.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <unistd.h>

#include "core/base/system_file.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

// What a kind of source gave: sensors, or, where there are none, why (empty: nothing of that kind is there).
struct Found {
  std::string kind;
  std::vector<EnergySensor> sensors;
  std::string why_not;
};

bool readable(const fs::path& file) {
  return ::access(file.c_str(), R_OK) == 0;
}

Found find_rapl(const fs::path& root) {
  Found found{.kind = "RAPL", .sensors = {}, .why_not = {}};
  std::vector<EnergySensor> packages, platform;
  for (const auto& zone : system_entries(root / "sys/class/powercap", "intel-rapl:")) {
    std::string name = read_system_line(zone / "name").value_or("");
    fs::path counter = zone / "energy_uj";
    std::error_code code;
    if (!fs::exists(counter, code)) continue;
    if (!readable(counter)) {
      found.why_not = "RAPL is there, but only root may read /sys/class/powercap/*/energy_uj";
      continue;
    }
    EnergySensor sensor{.name = name, .file = counter, .other = {}, .unit = 1e-6, .is_counter = true};
    sensor.counter_range = double(read_system_number(zone / "max_energy_range_uj").value_or(0)) * 1e-6;
    // Cores and graphics are parts of the package; memory is not.
    if (name.starts_with("package") || name == "dram") packages.push_back(sensor);
    if (name == "psys") platform.push_back(sensor);
  }
  found.sensors = packages.empty() ? platform : packages;
  return found;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool names_a_whole(const std::string& chip, const std::string& label) {
  if (chip == "power_meter") return true;  // ACPI: the whole machine
  std::string text = lower(label);
  for (const char* part : {"total", "system", "socket", "vdd_in", "5v_in", "vsys", "vin"})
    if (text.find(part) != std::string::npos) return true;
  return false;
}

// Sensors of one chip; those that tell energy where it has any, for they miss nothing between two readings.
std::vector<EnergySensor> chip_sensors(const fs::path& chip, const std::string& chip_name) {
  auto label_of = [&](const std::string& channel) {
    if (auto label = read_system_line(chip / (channel + "_label"))) return *label;
    return read_system_line(chip / "label").value_or(chip_name);
  };
  std::vector<EnergySensor> counters, watts, rails;
  for (const auto& file : system_entries(chip, "")) {
    std::string name = file.filename().string();
    std::string channel = name.substr(0, name.find('_'));
    if (!readable(file)) continue;
    if (name.starts_with("energy") && name.ends_with("_input"))
      counters.push_back(
          {.name = label_of(channel), .file = file, .other = {}, .unit = 1e-6, .is_counter = true});
    std::error_code code;
    bool averaged = name.ends_with("_average") && !fs::exists(chip / (channel + "_input"), code);
    if (name.starts_with("power") && (name.ends_with("_input") || averaged))
      watts.push_back({.name = label_of(channel), .file = file, .other = {}, .unit = 1e-6});
    // INA3221: millivolts and milliamperes of each rail.
    if (chip_name.starts_with("ina") && name.starts_with("curr") && name.ends_with("_input")) {
      std::string volts = "in" + channel.substr(4);
      if (readable(chip / (volts + "_input")))
        rails.push_back(
            {.name = label_of(volts), .file = file, .other = chip / (volts + "_input"), .unit = 1e-6});
    }
  }
  std::vector<EnergySensor>& best = !counters.empty() ? counters : !watts.empty() ? watts : rails;
  // A rail that is switched off cannot be read.
  std::erase_if(best, [](const EnergySensor& sensor) { return !read_sensor(sensor).ok(); });
  return best;
}

Found find_hwmon(const fs::path& root) {
  Found found;
  for (const auto& chip : system_entries(root / "sys/class/hwmon", "hwmon")) {
    std::string name = read_system_line(chip / "name").value_or("");
    static constexpr const char* kElsewhere[] = {"amdgpu", "radeon", "nouveau", "i915", "xe", "nvme"};
    if (std::count(std::begin(kElsewhere), std::end(kElsewhere), name)) continue;
    std::vector<EnergySensor> sensors = chip_sensors(chip, name);
    std::vector<EnergySensor> wholes;
    for (const EnergySensor& sensor : sensors)
      if (names_a_whole(name, sensor.name)) wholes.push_back(sensor);
    if (!wholes.empty()) return {"hwmon " + name, wholes, ""};
    if (sensors.empty() || (!found.kind.empty() && found.kind != "hwmon " + name)) continue;
    found.kind = "hwmon " + name;
    found.sensors.insert(found.sensors.end(), sensors.begin(), sensors.end());
  }
  return found;
}

Found find_battery(const fs::path& root) {
  Found found{.kind = "battery", .sensors = {}, .why_not = {}};
  for (const auto& supply : system_entries(root / "sys/class/power_supply", "")) {
    // Scope "Device" is a mouse's or a headset's.
    if (read_system_line(supply / "type") != "Battery" || read_system_line(supply / "scope") == "Device")
      continue;
    EnergySensor sensor{.name = supply.filename(), .file = supply / "power_now", .other = {}, .unit = 1e-6};
    if (!read_system_number(sensor.file)) {
      sensor.file = supply / "current_now";
      sensor.other = supply / "voltage_now";
      sensor.unit = 1e-12;
    }
    sensor.status = supply / "status";
    if (auto watts = read_sensor(sensor); watts.ok())
      found.sensors.push_back(sensor);
    else
      found.why_not = watts.error().message;
  }
  return found;
}

}  // namespace

Result<double> read_sensor(const EnergySensor& sensor) {
  if (!sensor.status.empty()) {
    std::string status = read_system_line(sensor.status).value_or("unknown");
    if (status != "Discharging")
      return Error{fmt::format("battery {} is not discharging (status: {})", sensor.name, status)};
  }
  auto value = read_system_number(sensor.file);
  if (!value) return Error{fmt::format("{} cannot be read", sensor.file.string())};
  double product = double(*value) * sensor.unit;
  if (!sensor.other.empty()) {
    auto other = read_system_number(sensor.other);
    if (!other) return Error{fmt::format("{} cannot be read", sensor.other.string())};
    product *= double(*other);
  }
  // Some drivers give the current of a discharge a minus.
  return sensor.is_counter ? product : std::abs(product);
}

Result<EnergySource> find_energy_source(const fs::path& root) {
  std::string why_not;
  for (Found& found : std::vector<Found>{find_rapl(root), find_hwmon(root), find_battery(root)}) {
    if (!found.why_not.empty()) why_not += (why_not.empty() ? "" : "; ") + found.why_not;
    if (found.sensors.empty()) continue;
    EnergySource source{.name = found.kind + " (", .sensors = std::move(found.sensors)};
    for (size_t i = 0; i < source.sensors.size(); ++i)
      source.name += (i ? ", " : "") + source.sensors[i].name;
    source.name += ")";
    return source;
  }
  if (!why_not.empty()) return Error{why_not};
  return Error{"the kernel shows no RAPL, no power sensor and no battery"};
}

}  // namespace edgellm
