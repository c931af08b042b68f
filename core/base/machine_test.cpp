#include "core/base/machine.h"

#include <nlohmann/json.hpp>

#include "core/base/build_description.h"
#include "core/base/fake_system.h"

namespace edgellm {
namespace {

constexpr const char* kPcInfo =
    "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz\n"
    "cpu MHz\t\t: 3400.125\nflags\t\t: fpu sse2 avx2\npower management:\n\n"
    "processor\t: 1\nmodel name\t: Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz\ncpu MHz\t\t: 1800.000\n";

std::string arm_info() {
  std::string text;
  for (int i = 0; i < 8; ++i)
    text += "processor\t: " + std::to_string(i) +
            "\nCPU implementer\t: 0x41\nCPU part\t: " + (i < 4 ? "0xd05" : "0xd0b") +
            "\nCPU revision\t: 0\n\n";
  return text;
}

TEST(Machine, APcIsDescribedFromCpuinfoDmiAndCpufreq) {
  FakeSystem system;
  system.write("proc/cpuinfo", kPcInfo);
  system.write("proc/meminfo", "MemTotal:       16000000 kB\nMemFree:  1 kB\n");
  system.write("sys/class/dmi/id/sys_vendor", "LENOVO\n");
  system.write("sys/class/dmi/id/product_name", "20L5\n");
  std::string policy = "sys/devices/system/cpu/cpufreq/policy0/";
  system.write(policy + "affected_cpus", "0 1\n");
  system.write(policy + "scaling_governor", "powersave\n");
  system.write(policy + "scaling_cur_freq", "3400000\n");
  system.write(policy + "scaling_min_freq", "400000\n");
  system.write(policy + "scaling_max_freq", "4000000\n");
  std::string cache = "sys/devices/system/cpu/cpu0/cache/index3/";
  system.write(cache + "level", "3\n");
  system.write(cache + "type", "Unified\n");
  system.write(cache + "size", "8192K\n");
  system.write(cache + "shared_cpu_list", "0-1\n");
  MachineDescription machine = describe_machine(system.root(), {0, 1});
  EXPECT_EQ(cpu_name(machine), "Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz");
  EXPECT_EQ(machine.n_cores, 2u);
  EXPECT_EQ(machine.virtualization, "");
  nlohmann::json j = machine;
  EXPECT_EQ(j["board"], "LENOVO 20L5");
  EXPECT_EQ(j["cores_online"], 2);
  EXPECT_EQ(j["memory_bytes"], uint64_t{16000000} * 1024);
  EXPECT_EQ(j["clocks"], nlohmann::json::parse(R"([{"cores": "0 1", "governor": "powersave", "now_hertz":
      3400000000, "least_hertz": 400000000, "most_hertz": 4000000000}])"));
  EXPECT_EQ(j["caches"], nlohmann::json::parse(
                             R"([{"level": 3, "kind": "Unified", "bytes": 8388608, "shared_by": "0-1"}])"));
  EXPECT_EQ(j["virtualization"], "none seen");
}

TEST(Machine, ABoardIsDescribedFromItsDeviceTreeAndTheNumbersOfItsCores) {
  FakeSystem system;
  system.write("proc/cpuinfo", arm_info());
  system.write("proc/device-tree/model", std::string_view("Orange Pi 5\0", 12));
  system.write("sys/class/devfreq/fb000000.gpu/cur_freq", "300000000\n");
  system.write("sys/class/devfreq/dmc/cur_freq", "2112000000\n");
  for (std::string policy : {"policy0", "policy4", "policy10"}) {
    system.write("sys/devices/system/cpu/cpufreq/" + policy + "/affected_cpus", policy + "\n");
    system.write("sys/devices/system/cpu/cpufreq/" + policy + "/scaling_governor", "ondemand\n");
  }
  MachineDescription machine = describe_machine(system.root(), {4, 5, 6, 7});
  EXPECT_EQ(cpu_name(machine), "4 x Cortex-A55, 4 x Cortex-A76");
  EXPECT_EQ(*machine.board, "Orange Pi 5");
  EXPECT_EQ(machine.n_cores, 4u);
  EXPECT_EQ(machine.n_cores_online, 8u);
  ASSERT_TRUE(machine.memory_speed.ok());
  EXPECT_EQ(to_string(*machine.memory_speed), "controller at 2112 MHz");
  ASSERT_EQ(machine.clocks->size(), 3u);
  EXPECT_EQ((*machine.clocks)[2].cores, "policy10");
}

TEST(Machine, ACoreThatIsNotInTheTableIsNamedByItsNumbers) {
  FakeSystem system;
  system.write("proc/cpuinfo", "processor : 0\nCPU implementer : 0x41\nCPU part : 0xfff\n");
  EXPECT_EQ(cpu_name(describe_machine(system.root(), {0})), "1 x Arm core 0x41/0xfff");
}

TEST(Machine, WhatIsNotKnownIsSaidWithTheReason) {
  FakeSystem system;
  MachineDescription machine = describe_machine(system.root(), {0});
  EXPECT_EQ(cpu_name(machine), "unknown CPU");
  nlohmann::json j = machine;
  for (const char* key : {"cpu", "board", "cpu_quota", "clocks", "memory_bytes", "memory_speed", "caches"}) {
    EXPECT_FALSE(j.contains(key)) << key;
    EXPECT_NE(j["absent"].value(key, ""), "") << key;
  }
  EXPECT_NE(to_string(machine).find("not known: "), std::string::npos);
}

TEST(Machine, AVirtualOneSaysSo) {
  FakeSystem system;
  system.write("proc/cpuinfo",
               "processor : 0\nmodel name : AMD EPYC\ncpu MHz : 2596.0\nflags : fpu hypervisor avx\n");
  system.write(".dockerenv", "");
  system.write("sys/fs/cgroup/cpu.max", "150000 100000\n");
  MachineDescription machine = describe_machine(system.root(), {0});
  EXPECT_EQ(machine.virtualization, "hypervisor, container");
  EXPECT_EQ(*machine.cpu_quota, 1.5);
  nlohmann::json j = machine;
  EXPECT_EQ(j["clocks"][0]["now_hertz"], 2596000000u);
  EXPECT_TRUE(j["absent"].contains("governor"));
  system.write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_FALSE(describe_machine(system.root(), {0}).cpu_quota.ok());
}

TEST(Machine, ThisOneIsDescribed) {
  MachineDescription machine = describe_machine();
  EXPECT_GE(machine.n_cores, 1u);
  EXPECT_NE(machine.kernel, "");
  EXPECT_NE(to_string(machine).find("machine"), std::string::npos);
}

TEST(Build, HasVersionCompilerAndType) {
  nlohmann::json j = describe_build();
  EXPECT_NE(j["version"].get<std::string>(), "");
  EXPECT_NE(j["compiler"].get<std::string>(), "");
  EXPECT_TRUE(j.contains("build_type"));
}

// One memory device: its formatted part up to the configured speed, then two strings.
std::string memory_device(uint16_t size, uint8_t type, uint16_t speed, uint16_t configured,
                          uint32_t wide_configured = 0) {
  std::string s(0x5c, '\0');
  auto put = [&](size_t at, uint64_t value, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; ++i) s[at + i] = char(value >> (8 * i));
  };
  put(0, 17, 1);
  put(1, s.size(), 1);
  put(0x0c, size, 2);
  put(0x12, type, 1);
  put(0x15, speed, 2);
  put(0x20, configured, 2);
  put(0x58, wide_configured, 4);
  return s + std::string("DIMM 0\0Samsung\0\0", 16);
}

TEST(MemorySpeed, IsThatOfTheSlowestModuleAsConfigured) {
  FakeSystem system;
  std::string other("\0\4\0\0\0\0", 6);  // a structure without strings ends with two zeros
  system.write("sys/firmware/dmi/tables/DMI",
               other + memory_device(16384, 0x1a, 3200, 2933) + memory_device(0, 0x02, 0, 0) +
                   memory_device(16384, 0x1a, 3200, 2666) + std::string("\x7f\4\0\0\0\0", 6));
  auto speed = read_memory_speed(system.root());
  ASSERT_TRUE(speed.ok()) << speed.error().message;
  EXPECT_EQ(to_string(*speed), "2 x DDR4 at 2666 MT/s");
}

TEST(MemorySpeed, TakesTheWideFieldWhereSixteenBitsAreTooFew) {
  std::string table = memory_device(16384, 0x23, 0xffff, 0xffff, 70000);
  auto speed = parse_memory_devices(std::as_bytes(std::span(table.data(), table.size())));
  ASSERT_TRUE(speed.ok());
  EXPECT_EQ(to_string(*speed), "LPDDR5 at 70000 MT/s");
}

TEST(MemorySpeed, ADamagedTableIsNoSpeed) {
  std::string whole = memory_device(16384, 0x22, 4800, 4800);
  for (size_t n = 0; n < 0x5c; ++n)
    EXPECT_FALSE(parse_memory_devices(std::as_bytes(std::span(whole.data(), n))).ok()) << n;
  std::string zeros(64, '\0');
  EXPECT_FALSE(parse_memory_devices(std::as_bytes(std::span(zeros.data(), zeros.size()))).ok());
}

}  // namespace
}  // namespace edgellm
