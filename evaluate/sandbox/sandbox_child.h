// What happens between the sandbox's clone and the program's exec. The clone is a copy of one thread of a
// process that may have many, so that no lock can be taken there: this code makes only system calls, on
// memory its parent prepared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <vector>

namespace edgellm {

// A step that makes the namespaces' root folder, under its mount point. Paths are absolute there.
struct RootStep {
  enum class Kind { kFolder, kFile, kSymlink, kBindFolder, kBindDevice, kWritable } kind;
  const char* path;    // in the new root, with a leading slash
  const char* source;  // of a bind: outside; of a symlink: its target; of kWritable: options of its tmpfs
};

// A path that Landlock lets the program use.
struct AllowedPath {
  const char* path;
  bool may_write;
};

struct ResourceLimit {
  int resource;
  rlim_t most;
};

struct SandboxChildPlan {
  // Both guards
  const char* python;
  char* const* arguments;
  char* const* environment;
  sock_fprog filter;
  std::vector<ResourceLimit> limits;
  int null_file, output, report;  // descriptors: /dev/null, the program's output, of a SandboxReport
  pid_t parent;

  // kNamespaces
  int go, go_parent_end;  // a byte comes when the user IDs are mapped
  std::vector<RootStep> root;
  const char* program_path;  // in the new root
  const char* program;
  size_t n_program_bytes;
  size_t n_processes;

  // kSystemCalls
  const char* folder;
  std::vector<AllowedPath> allowed;
};

// The user inside the namespaces; outside it is the user who runs edgellm or, if that is root, nobody.
constexpr unsigned kInsideUser = 65534;

// Written to `report`: once when the program has ended, or when it could not be started.
struct SandboxReport {
  const char* failed_step;  // in the read-only data that both copies of the process share; nullptr: it ran
  int error;                // errno of the failed step
  int wait_status;          // of the program
};

// Process 1 of new namespaces: makes the root, starts the program as a child, waits for it, reports. Its end
// is the end of every process in there.
[[noreturn]] void run_in_namespaces(const SandboxChildPlan& plan);

// Becomes the program, confined by Landlock and the filter of system calls. Reports only failures.
[[noreturn]] void run_confined(const SandboxChildPlan& plan);

// 0 where the kernel has no Landlock.
int landlock_version();
// The first that guards truncation.
constexpr int kLandlockVersionNeeded = 3;

}  // namespace edgellm
