// Names of Arm cores from the numbers they report of themselves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace edgellm {

// Fields of MIDR_EL1, as /proc/cpuinfo gives them for each core.
struct ArmCore {
  uint32_t implementer = 0, part = 0;
  bool operator==(const ArmCore&) const = default;
};

// "Cortex-A76"; for one that is not in the table "Arm core 0x41/0xfff".
std::string arm_core_name(const ArmCore& core);
// "4 x Cortex-A76, 4 x Cortex-A55", in the order of first appearance.
std::string arm_core_names(const std::vector<ArmCore>& cores);

}  // namespace edgellm
