// Which system calls a sandboxed program may make: a list of those it may not, as a program for the kernel
// (seccomp).
#pragma once

#include <linux/filter.h>
#include <vector>

#include "core/base/result.h"

namespace edgellm {

// Calls that reach the network, other processes, other namespaces, the kernel's settings or memory that no
// limit counts fail with EPERM. alone: also those that start processes, send signals or change a file's mode,
// owner or times, for the guard under which the program shares the machine's processes and files with others.
Result<std::vector<sock_filter>> system_call_filter(bool alone);

}  // namespace edgellm
