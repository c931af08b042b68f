#include "core/base/machine.h"

#include <charconv>
#include <fmt/format.h>
#include <fstream>
#include <sys/utsname.h>
#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

#include "core/base/arm_cores.h"
#include "core/base/system_file.h"
#include "core/base/thread_pool.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

struct CpuInfo {
  std::string model_name;
  std::vector<ArmCore> arm_cores;
  size_t n_processors = 0;
  double megahertz = 0;
  bool hypervisor = false;
};

CpuInfo read_cpuinfo(const fs::path& root) {
  CpuInfo info;
  std::ifstream in(root / "proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    std::string value = line.substr(std::min(line.size(), colon + 2));
    auto number = [&] { return uint32_t(std::strtoul(value.c_str(), nullptr, 0)); };
    if (key == "processor") ++info.n_processors;
    if (key == "model name") info.model_name = value;
    if (key == "cpu MHz" && info.megahertz == 0) info.megahertz = std::strtod(value.c_str(), nullptr);
    if (key == "CPU implementer") info.arm_cores.push_back({number(), 0});
    if (key == "CPU part" && !info.arm_cores.empty()) info.arm_cores.back().part = number();
    if (key == "flags") info.hypervisor = (" " + value + " ").find(" hypervisor ") != std::string::npos;
  }
  return info;
}

Result<std::string> cpu_of(const CpuInfo& info) {
  if (!info.model_name.empty()) return info.model_name;
  if (!info.arm_cores.empty()) return arm_core_names(info.arm_cores);
  return Error{"/proc/cpuinfo names no model"};
}

Result<std::string> board_of(const fs::path& root) {
  // Boards name themselves in the device tree, PCs in what the firmware lets everyone read.
  if (auto model = read_system_line(root / "proc/device-tree/model")) return *model;
  fs::path dmi = root / "sys/class/dmi/id";
  std::string name = read_system_line(dmi / "sys_vendor").value_or("");
  if (auto product = read_system_line(dmi / "product_name")) name += (name.empty() ? "" : " ") + *product;
  if (!name.empty()) return name;
  return Error{"neither a device tree nor /sys/class/dmi/id names it"};
}

Result<double> cpu_quota_of(const fs::path& root) {
  auto line = read_system_line(root / "sys/fs/cgroup/cpu.max");  // "max 100000", "150000 100000"
  if (!line) return Error{"no /sys/fs/cgroup/cpu.max"};
  double quota = 0, period = 0;
  if (std::sscanf(line->c_str(), "%lf %lf", &quota, &period) != 2 || period <= 0) return Error{"none is set"};
  return quota / period;
}

uint64_t kilohertz(const fs::path& path) {
  return uint64_t(std::max<int64_t>(0, read_system_number(path).value_or(0))) * 1000;
}

Result<std::vector<CoreClock>> clocks_of(const fs::path& root, const CpuInfo& info) {
  std::vector<CoreClock> clocks;
  for (const auto& policy : system_entries(root / "sys/devices/system/cpu/cpufreq", "policy"))
    clocks.push_back({read_system_line(policy / "affected_cpus").value_or(""),
                      read_system_line(policy / "scaling_governor").value_or(""),
                      kilohertz(policy / "scaling_cur_freq"), kilohertz(policy / "scaling_min_freq"),
                      kilohertz(policy / "scaling_max_freq")});
  if (!clocks.empty()) return clocks;
  if (info.megahertz > 0) return std::vector<CoreClock>{{"all", "", uint64_t(info.megahertz * 1e6), 0, 0}};
  return Error{"the kernel shows no frequencies (/sys/devices/system/cpu/cpufreq is empty)"};
}

Result<uint64_t> memory_of(const fs::path& root) {
  std::ifstream in(root / "proc/meminfo");
  uint64_t kilobytes = 0;
  for (std::string word; in >> word;)
    if (word == "MemTotal:" && in >> kilobytes) return kilobytes * 1024;
  return Error{"/proc/meminfo does not tell"};
}

// "32K", "1024K", "32M"
uint64_t cache_bytes(const std::string& text) {
  uint64_t n = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (code != std::errc()) return 0;
  char unit = end == text.data() + text.size() ? ' ' : *end;
  return unit == 'K' ? n << 10 : unit == 'M' ? n << 20 : unit == 'G' ? n << 30 : n;
}

Result<std::vector<CpuCache>> caches_of(const fs::path& root, int core) {
  std::vector<CpuCache> caches;
  fs::path folder = root / "sys/devices/system/cpu" / fmt::format("cpu{}", core) / "cache";
  for (const auto& index : system_entries(folder, "index"))
    if (auto size = read_system_line(index / "size"))
      caches.push_back({int(read_system_number(index / "level").value_or(0)),
                        read_system_line(index / "type").value_or(""), cache_bytes(*size),
                        read_system_line(index / "shared_cpu_list").value_or("")});
  if (caches.empty()) return Error{fmt::format("the kernel shows none for core {}", core)};
  return caches;
}

std::string kernel_name() {
  utsname name;
  if (::uname(&name) != 0) return "unknown";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

std::string libc_name() {
#if defined(__GLIBC__)
  return fmt::format("glibc {}", gnu_get_libc_version());
#else
  return "not glibc";
#endif
}

std::string virtualization_of(const fs::path& root, const CpuInfo& info) {
  std::string kind = read_system_line(root / "sys/hypervisor/type").value_or("");
  if (kind.empty()) kind = read_system_line(root / "proc/device-tree/hypervisor/compatible").value_or("");
  std::string seen = info.hypervisor || !kind.empty() ? "hypervisor" : "";
  if (!kind.empty()) seen += " (" + kind + ")";
  std::error_code code;
  if (fs::exists(root / ".dockerenv", code) || fs::exists(root / "run/.containerenv", code))
    seen += seen.empty() ? "container" : ", container";
  return seen;
}

}  // namespace

MachineDescription describe_machine(const fs::path& root) {
  return describe_machine(root, usable_cores());
}

MachineDescription describe_machine(const fs::path& root, const std::vector<int>& cores) {
  CpuInfo info = read_cpuinfo(root);
  return {.cpu = cpu_of(info),
          .board = board_of(root),
          .n_cores = cores.size(),
          .n_cores_online = info.n_processors,
          .cpu_quota = cpu_quota_of(root),
          .clocks = clocks_of(root, info),
          .n_memory_bytes = memory_of(root),
          .memory_speed = read_memory_speed(root),
          .caches = caches_of(root, cores.empty() ? 0 : cores.front()),
          .kernel = kernel_name(),
          .libc = libc_name(),
          .virtualization = virtualization_of(root, info)};
}

}  // namespace edgellm
