// How fast the machine's memory is said to run: generation reads every weight once a token, so that this and
// the model's bytes bound it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "core/base/result.h"

namespace edgellm {

struct MemorySpeed {
  std::string kind;                 // "DDR5"; empty when not told
  size_t n_modules = 0;             // 0 when not told
  uint64_t n_transfers_second = 0;  // as configured, of each data line; 0 when not told
  uint64_t controller_hertz = 0;    // on boards that tell the controller's clock instead; else 0
};

// "2 x DDR5 at 4800 MT/s", "controller at 2112 MHz".
std::string to_string(const MemorySpeed& speed);

// Memory devices (type 17) in a table of DMI structures, as in /sys/firmware/dmi/tables/DMI.
Result<MemorySpeed> parse_memory_devices(std::span<const std::byte> dmi_table);

// From the firmware's table (root may read it) or from devfreq's memory controller (boards). The Error says
// why neither tells.
Result<MemorySpeed> read_memory_speed(const std::filesystem::path& root);

}  // namespace edgellm
