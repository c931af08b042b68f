#include "core/base/arm_cores.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

namespace edgellm {
namespace {

struct Row {
  ArmCore core;
  const char* name;
};

// Part numbers from the cores' technical reference manuals (MIDR_EL1).
constexpr Row kNames[] = {
    {{0x41, 0xd03}, "Cortex-A53"},   {{0x41, 0xd04}, "Cortex-A35"},   {{0x41, 0xd05}, "Cortex-A55"},
    {{0x41, 0xd07}, "Cortex-A57"},   {{0x41, 0xd08}, "Cortex-A72"},   {{0x41, 0xd09}, "Cortex-A73"},
    {{0x41, 0xd0a}, "Cortex-A75"},   {{0x41, 0xd0b}, "Cortex-A76"},   {{0x41, 0xd0c}, "Neoverse-N1"},
    {{0x41, 0xd0d}, "Cortex-A77"},   {{0x41, 0xd0e}, "Cortex-A76AE"}, {{0x41, 0xd40}, "Neoverse-V1"},
    {{0x41, 0xd41}, "Cortex-A78"},   {{0x41, 0xd42}, "Cortex-A78AE"}, {{0x41, 0xd44}, "Cortex-X1"},
    {{0x41, 0xd46}, "Cortex-A510"},  {{0x41, 0xd47}, "Cortex-A710"},  {{0x41, 0xd48}, "Cortex-X2"},
    {{0x41, 0xd49}, "Neoverse-N2"},  {{0x41, 0xd4b}, "Cortex-A78C"},  {{0x41, 0xd4d}, "Cortex-A715"},
    {{0x41, 0xd4e}, "Cortex-X3"},    {{0x41, 0xd4f}, "Neoverse-V2"},  {{0x41, 0xd80}, "Cortex-A520"},
    {{0x41, 0xd81}, "Cortex-A720"},  {{0x41, 0xd82}, "Cortex-X4"},    {{0x41, 0xd84}, "Neoverse-V3"},
    {{0x41, 0xd85}, "Cortex-X925"},  {{0x41, 0xd87}, "Cortex-A725"},  {{0x41, 0xd8e}, "Neoverse-N3"},
    {{0x48, 0xd01}, "TaiShan v110"}, {{0x4e, 0x004}, "Carmel"},       {{0x51, 0x001}, "Oryon"},
    {{0xc0, 0xac3}, "Ampere-1"},
};

}  // namespace

std::string arm_core_name(const ArmCore& core) {
  for (const Row& row : kNames)
    if (row.core == core) return row.name;
  return fmt::format("Arm core {:#04x}/{:#05x}", core.implementer, core.part);
}

std::string arm_core_names(const std::vector<ArmCore>& cores) {
  std::vector<ArmCore> kinds;
  for (const ArmCore& core : cores)
    if (std::find(kinds.begin(), kinds.end(), core) == kinds.end()) kinds.push_back(core);
  std::string names;
  for (const ArmCore& kind : kinds)
    names += fmt::format("{}{} x {}", names.empty() ? "" : ", ", std::count(cores.begin(), cores.end(), kind),
                         arm_core_name(kind));
  return names;
}

}  // namespace edgellm
