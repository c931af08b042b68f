// Steps that both kinds of sandboxed child take. Only system calls: see sandbox_child.h.
#pragma once

#include "evaluate/sandbox/sandbox_child.h"

namespace edgellm {

// Writes a SandboxReport that `step` failed with errno, and exits.
[[noreturn]] void fail_child(int report, const char* step);

// Dies with the process that runs edgellm.
void die_with_parent(const SandboxChildPlan& plan);

// All of them, and the way to new ones.
void drop_capabilities(const SandboxChildPlan& plan);

// Gives up every descriptor but the program's own three, takes on limits and filter, becomes Python.
[[noreturn]] void execute_python(const SandboxChildPlan& plan);

}  // namespace edgellm
