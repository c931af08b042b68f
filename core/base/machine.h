// The machine a figure was taken on, as far as the kernel tells, so that someone else can repeat it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/memory_speed.h"
#include "core/base/result.h"

namespace edgellm {

// Cores that share a clock.
struct CoreClock {
  std::string cores;     // "0-3"
  std::string governor;  // "performance"; empty where the kernel has none
  // Hertz; 0 where not told.
  uint64_t now = 0, least = 0, most = 0;
};

struct CpuCache {
  int level = 0;
  std::string kind;  // "Data", "Instruction", "Unified"
  uint64_t n_bytes = 0;
  std::string shared_by;  // cores, "0-3"
};

// A Result is the fact, or an Error that says why it is not known.
struct MachineDescription {
  Result<std::string> cpu;    // "AMD EPYC", "4 x Cortex-A76, 4 x Cortex-A55"
  Result<std::string> board;  // "Orange Pi 5", "LENOVO 21CB"
  size_t n_cores;             // that this process may use, the fastest kind
  size_t n_cores_online;
  Result<double> cpu_quota;  // cores' worth of time its control group may use
  Result<std::vector<CoreClock>> clocks;
  Result<uint64_t> n_memory_bytes;
  Result<MemorySpeed> memory_speed;
  Result<std::vector<CpuCache>> caches;  // of the first core it may use
  std::string kernel;                    // "Linux 6.1.0 x86_64"
  std::string libc;                      // "glibc 2.36"
  // "hypervisor", "container" with what is known of them; empty when none is seen.
  std::string virtualization;
};

// `root` stands for "/"; `cores` for usable_cores().
MachineDescription describe_machine(const std::filesystem::path& root = "/");
MachineDescription describe_machine(const std::filesystem::path& root, const std::vector<int>& cores);

// "AMD EPYC"; "unknown CPU" where the system does not tell.
std::string cpu_name(const MachineDescription& machine);
// Lines of "name   value", each ended; what is absent says why.
std::string to_string(const MachineDescription& machine);
// Keys of docs/formats.md, "machine"; "absent" holds the reasons by key.
void to_json(nlohmann::json& j, const MachineDescription& machine);

}  // namespace edgellm
