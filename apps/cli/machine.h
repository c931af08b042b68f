// The machine a figure was taken on.
#pragma once

#include <string>

namespace edgellm {

// "AMD EPYC", "Orange Pi 5"; "unknown CPU" where the system does not tell.
std::string cpu_name();

}  // namespace edgellm
