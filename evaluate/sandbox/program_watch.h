// Watches a sandboxed process until it has ended, and ends it when it reaches a limit.
#pragma once

#include <sys/types.h>

#include "evaluate/sandbox/sandbox.h"
#include "evaluate/sandbox/sandbox_child.h"

namespace edgellm {

struct WatchedProgram {
  Sandbox::Guard guard;
  pid_t process;       // a child of this process, whose end is the end of all it started
  int process_file;    // its pidfd
  int output;          // read end, non-blocking
  int report;          // read end, non-blocking
  std::string folder;  // on disk, empty under kNamespaces
};

// Reaps the process. Errors: it reported that it could not start the program.
Result<SandboxOutcome> watch_program(const WatchedProgram& program, const SandboxLimits& limits);

}  // namespace edgellm
