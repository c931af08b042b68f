#include "core/base/energy_meter.h"

#include "core/base/fake_system.h"

namespace edgellm {
namespace {

void write_rapl(const FakeSystem& system, const std::string& zone, const std::string& name,
                uint64_t energy_uj, uint64_t range_uj = 262143328850) {
  std::string folder = "sys/class/powercap/" + zone + "/";
  system.write(folder + "name", name + "\n");
  system.write(folder + "energy_uj", std::to_string(energy_uj) + "\n");
  system.write(folder + "max_energy_range_uj", std::to_string(range_uj) + "\n");
}

void write_battery(const FakeSystem& system, const std::string& status) {
  std::string folder = "sys/class/power_supply/BAT0/";
  system.write(folder + "type", "Battery\n");
  system.write(folder + "status", status + "\n");
  system.write(folder + "current_now", "-2000000\n");  // 2 A
  system.write(folder + "voltage_now", "11500000\n");  // 11.5 V
}

EnergySum sum_of(const FakeSystem& system) {
  auto source = find_energy_source(system.root());
  EXPECT_TRUE(source.ok()) << source.error().message;
  return EnergySum(source.ok() ? *source : EnergySource{});
}

std::string source_name(const FakeSystem& system) {
  auto source = find_energy_source(system.root());
  return source.ok() ? source->name : "none: " + source.error().message;
}

TEST(EnergySource, RaplIsThePackagesAndTheirMemoryButNotTheirParts) {
  FakeSystem system;
  write_rapl(system, "intel-rapl:0", "package-0", 1000000);
  write_rapl(system, "intel-rapl:0:0", "core", 500000);
  write_rapl(system, "intel-rapl:0:1", "dram", 2000000);
  write_rapl(system, "intel-rapl:1", "psys", 9000000);
  write_rapl(system, "intel-rapl-mmio:0", "package-0", 1000000);
  EXPECT_EQ(source_name(system), "RAPL (package-0, dram)");
  EnergySum sum = sum_of(system);
  ASSERT_TRUE(sum.sample(0).ok());
  write_rapl(system, "intel-rapl:0", "package-0", 4000000);
  write_rapl(system, "intel-rapl:0:0", "core", 3500000);
  write_rapl(system, "intel-rapl:0:1", "dram", 2500000);
  ASSERT_TRUE(sum.sample(1).ok());
  EXPECT_DOUBLE_EQ(sum.joules(), 3.5);
}

TEST(EnergySum, GoesOnWhereACounterBeginsAtZeroAgain) {
  FakeSystem system;
  write_rapl(system, "intel-rapl:0", "package-0", 900000, 1000000);
  EnergySum sum = sum_of(system);
  ASSERT_TRUE(sum.sample(0).ok());
  for (uint64_t counter : {100000u, 700000u, 50000u}) {
    write_rapl(system, "intel-rapl:0", "package-0", counter, 1000000);
    ASSERT_TRUE(sum.sample(1).ok());
  }
  EXPECT_NEAR(sum.joules(), 0.2 + 0.6 + 0.35, 1e-12);
}

TEST(EnergySum, ACounterWithoutARangeMayNotRunBackwards) {
  FakeSystem system;
  system.write("sys/class/hwmon/hwmon0/name", "amd_energy\n");
  system.write("sys/class/hwmon/hwmon0/energy1_label", "Esocket0\n");
  system.write("sys/class/hwmon/hwmon0/energy1_input", "5000000\n");
  EnergySum sum = sum_of(system);
  ASSERT_TRUE(sum.sample(0).ok());
  system.write("sys/class/hwmon/hwmon0/energy1_input", "4000000\n");
  Status status = sum.sample(1);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("energy1_input"), std::string::npos);
}

TEST(EnergySource, OfASocketAndItsCoresTheSocketCounts) {
  FakeSystem system;
  system.write("sys/class/hwmon/hwmon0/name", "amd_energy\n");
  for (int i = 1; i <= 3; ++i) {
    std::string channel = "sys/class/hwmon/hwmon0/energy" + std::to_string(i);
    system.write(channel + "_label", i == 3 ? "Esocket0\n" : "Ecore00" + std::to_string(i) + "\n");
    system.write(channel + "_input", "1000\n");
  }
  EXPECT_EQ(source_name(system), "hwmon amd_energy (Esocket0)");
}

TEST(EnergySource, RailsOfABoardAddUpAndGraphicsAreLeftOut) {
  FakeSystem system;
  system.write("sys/class/hwmon/hwmon0/name", "amdgpu\n");
  system.write("sys/class/hwmon/hwmon0/power1_average", "30000000\n");
  for (int i = 1; i <= 2; ++i) {
    std::string chip = "sys/class/hwmon/hwmon" + std::to_string(i);
    system.write(chip + "/name", "ina226\n");
    system.write(chip + "/label", i == 1 ? "vdd_cpu\n" : "vdd_ddr\n");
    system.write(chip + "/power1_input", i == 1 ? "4000000\n" : "1000000\n");
    system.write(chip + "/in1_input", "5000\n");
    system.write(chip + "/curr1_input", "900\n");
  }
  EXPECT_EQ(source_name(system), "hwmon ina226 (vdd_cpu, vdd_ddr)");
  EnergySum sum = sum_of(system);
  ASSERT_TRUE(sum.sample(10).ok());
  system.write("sys/class/hwmon/hwmon1/power1_input", "8000000\n");
  ASSERT_TRUE(sum.sample(12).ok());
  EXPECT_DOUBLE_EQ(sum.joules(), (4.0 + 8.0) / 2 * 2 + 1.0 * 2);
}

TEST(EnergySource, TheInputRailOfAnIna3221IsItsVoltsTimesItsAmperes) {
  FakeSystem system;
  std::string chip = "sys/class/hwmon/hwmon3/";
  system.write(chip + "name", "ina3221\n");
  for (int i = 1; i <= 3; ++i) {
    std::string n = std::to_string(i);
    system.write(chip + "in" + n + "_label", i == 1 ? "VDD_IN\n" : "VDD_SOC\n");
    system.write(chip + "in" + n + "_input", "5000\n");   // mV
    system.write(chip + "curr" + n + "_input", "800\n");  // mA
  }
  EXPECT_EQ(source_name(system), "hwmon ina3221 (VDD_IN)");
  EnergySum sum = sum_of(system);
  ASSERT_TRUE(sum.sample(0).ok());
  ASSERT_TRUE(sum.sample(3).ok());
  EXPECT_NEAR(sum.joules(), 12, 1e-9);
}

TEST(EnergySource, ABatteryCountsWhileItDischarges) {
  FakeSystem system;
  write_battery(system, "Discharging");
  system.write("sys/class/power_supply/hidpp_battery_0/type", "Battery\n");
  system.write("sys/class/power_supply/hidpp_battery_0/scope", "Device\n");
  system.write("sys/class/power_supply/hidpp_battery_0/status", "Discharging\n");
  system.write("sys/class/power_supply/AC/type", "Mains\n");
  EXPECT_EQ(source_name(system), "battery (BAT0)");
  EnergySum sum = sum_of(system);
  ASSERT_TRUE(sum.sample(0).ok());
  ASSERT_TRUE(sum.sample(2).ok());
  EXPECT_NEAR(sum.joules(), 46, 1e-9);
  write_battery(system, "Charging");
  Status plugged_in = sum.sample(3);
  ASSERT_FALSE(plugged_in.ok());
  EXPECT_NE(plugged_in.error().message.find("BAT0 is not discharging (status: Charging)"), std::string::npos);
  EXPECT_EQ(source_name(system), "none: " + plugged_in.error().message);
}

TEST(EnergySource, WhatOnlyRootMayReadIsSaid) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  FakeSystem system;
  write_rapl(system, "intel-rapl:0", "package-0", 1);
  std::filesystem::permissions(system.root() / "sys/class/powercap/intel-rapl:0/energy_uj",
                               std::filesystem::perms::none);
  EXPECT_NE(source_name(system).find("only root may read"), std::string::npos) << source_name(system);
}

TEST(EnergySource, NoneIsSaid) {
  FakeSystem system;
  EXPECT_EQ(source_name(system), "none: the kernel shows no RAPL, no power sensor and no battery");
  EXPECT_FALSE(EnergyMeter::start(system.root()).ok());
}

TEST(EnergyMeter, CountsFromItsStart) {
  FakeSystem system;
  write_rapl(system, "intel-rapl:0", "package-0", 5000000);
  auto meter = EnergyMeter::start(system.root());
  ASSERT_TRUE(meter.ok()) << meter.error().message;
  EXPECT_EQ((*meter)->source(), "RAPL (package-0)");
  write_rapl(system, "intel-rapl:0", "package-0", 7500000);
  auto joules = (*meter)->joules();
  ASSERT_TRUE(joules.ok());
  EXPECT_DOUBLE_EQ(*joules, 2.5);
}

TEST(EnergyMeter, HasNoFigureAfterASensorFailed) {
  FakeSystem system;
  write_rapl(system, "intel-rapl:0", "package-0", 5000000);
  auto meter = EnergyMeter::start(system.root());
  ASSERT_TRUE(meter.ok());
  system.remove("sys/class/powercap/intel-rapl:0/energy_uj");
  EXPECT_FALSE((*meter)->joules().ok());
  write_rapl(system, "intel-rapl:0", "package-0", 6000000);
  EXPECT_FALSE((*meter)->joules().ok());
}

}  // namespace
}  // namespace edgellm
