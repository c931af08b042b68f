#include "apps/cli/machine.h"

#include <fstream>

namespace edgellm {

std::string cpu_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);)
    if (line.starts_with("model name"))
      if (size_t colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  // Boards name themselves in the device tree, with a zero at the end.
  std::ifstream board("/proc/device-tree/model");
  if (std::string name; std::getline(board, name, '\0') && !name.empty()) return name;
  return "unknown CPU";
}

}  // namespace edgellm
