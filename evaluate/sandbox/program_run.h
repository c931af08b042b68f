// One run of a program under a guard: clone, watch, end.
#pragma once

#include <linux/filter.h>
#include <vector>

#include "evaluate/sandbox/python_interpreter.h"
#include "evaluate/sandbox/sandbox.h"

namespace edgellm {

struct ProgramRun {
  Sandbox::Guard guard;
  const PythonInterpreter& python;
  std::vector<sock_filter>& filter;
  const SandboxRequest& request;
};

// Errors: the guard cannot be set up here: which step, and why.
Result<SandboxOutcome> run_program(const ProgramRun& run);

}  // namespace edgellm
