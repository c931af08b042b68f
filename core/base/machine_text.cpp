// A machine in words and in JSON.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/machine.h"

namespace edgellm {
namespace {

std::string line(const char* name, const std::string& value) {
  return fmt::format("{:<9}{}\n", name, value);
}

template <class T, class Text>
std::string known(const Result<T>& fact, Text text) {
  return fact.ok() ? text(fact.value()) : "not known: " + fact.error().message;
}

std::string gigahertz(uint64_t hertz) {
  return hertz ? fmt::format("{:.2f} GHz", double(hertz) / 1e9) : "?";
}

std::string clock_text(const CoreClock& clock) {
  std::string text = gigahertz(clock.now);
  if (clock.most) text += fmt::format(" of {} to {}", gigahertz(clock.least), gigahertz(clock.most));
  text += clock.governor.empty() ? ", no governor shown" : ", governor " + clock.governor;
  return clock.cores == "all" ? text : fmt::format("cores {}: {}", clock.cores, text);
}

std::string size_text(uint64_t n_bytes) {
  return n_bytes < 1 << 20 ? fmt::format("{} KiB", n_bytes >> 10) : fmt::format("{} MiB", n_bytes >> 20);
}

// Sets j[key] to the fact, or the reason beside the others that are absent.
template <class T>
void add(nlohmann::json& j, const char* key, const Result<T>& fact) {
  if (fact.ok())
    j[key] = fact.value();
  else
    j["absent"][key] = fact.error().message;
}

}  // namespace

void to_json(nlohmann::json& j, const CoreClock& clock) {
  j = {{"cores", clock.cores}};
  if (!clock.governor.empty()) j["governor"] = clock.governor;
  if (clock.now) j["now_hertz"] = clock.now;
  if (clock.least) j["least_hertz"] = clock.least;
  if (clock.most) j["most_hertz"] = clock.most;
}

void to_json(nlohmann::json& j, const CpuCache& cache) {
  j = {
      {"level", cache.level}, {"kind", cache.kind}, {"bytes", cache.n_bytes}, {"shared_by", cache.shared_by}};
}

void to_json(nlohmann::json& j, const MemorySpeed& speed) {
  j = nlohmann::json::object();
  if (!speed.kind.empty()) j["kind"] = speed.kind;
  if (speed.n_modules) j["modules"] = speed.n_modules;
  if (speed.n_transfers_second) j["transfers_per_second"] = speed.n_transfers_second;
  if (speed.controller_hertz) j["controller_hertz"] = speed.controller_hertz;
}

void to_json(nlohmann::json& j, const MachineDescription& m) {
  j = {{"cores", m.n_cores},
       {"cores_online", m.n_cores_online},
       {"kernel", m.kernel},
       {"libc", m.libc},
       {"virtualization", m.virtualization.empty() ? "none seen" : m.virtualization},
       {"absent", nlohmann::json::object()}};
  add(j, "cpu", m.cpu);
  add(j, "board", m.board);
  add(j, "cpu_quota", m.cpu_quota);
  add(j, "clocks", m.clocks);
  add(j, "memory_bytes", m.n_memory_bytes);
  add(j, "memory_speed", m.memory_speed);
  add(j, "caches", m.caches);
  // A clock alone says nothing of who sets it.
  if (m.clocks.ok() && m.clocks->front().governor.empty())
    j["absent"]["governor"] = "the kernel shows no frequency scaling (/sys/devices/system/cpu/cpufreq)";
}

std::string cpu_name(const MachineDescription& machine) {
  return machine.cpu.ok() ? *machine.cpu : "unknown CPU";
}

std::string to_string(const MachineDescription& m) {
  std::string text =
      line("machine", fmt::format("{}, {} of {} cores{}{}", cpu_name(m), m.n_cores, m.n_cores_online,
                                  m.board.ok() ? ", " + *m.board : "",
                                  m.virtualization.empty() ? "" : " (" + m.virtualization + ")"));
  if (m.cpu_quota.ok()) text += line("quota", fmt::format("{:.2f} cores' time", *m.cpu_quota));
  if (!m.clocks.ok()) text += line("clock", known(m.clocks, [](const auto&) { return std::string(); }));
  if (m.clocks.ok())
    for (const CoreClock& clock : *m.clocks) text += line("clock", clock_text(clock));
  std::string caches = known(m.caches, [](const std::vector<CpuCache>& all) {
    std::string names;
    for (const CpuCache& cache : all)
      if (cache.kind != "Instruction")
        names += fmt::format("{}L{} {}", names.empty() ? "" : ", ", cache.level, size_text(cache.n_bytes));
    return names;
  });
  text += line("caches", caches);
  std::string memory =
      known(m.n_memory_bytes, [](uint64_t n) { return fmt::format("{:.1f} GB", double(n) / 1e9); });
  std::string speed = known(m.memory_speed, [](const MemorySpeed& s) { return to_string(s); });
  text += line("memory", memory + (m.memory_speed.ok() ? ", " : ", speed ") + speed);
  return text + line("system", m.kernel + ", " + m.libc);
}

}  // namespace edgellm
