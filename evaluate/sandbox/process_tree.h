// What a process and everything it started use, read from /proc.
#pragma once

#include <chrono>
#include <cstddef>
#include <sys/types.h>

namespace edgellm {

struct ProcessTreeUse {
  std::chrono::milliseconds cpu_time{
      0};                       // user and system, of the living and of the dead that were waited for
  size_t n_resident_bytes = 0;  // pages shared between its processes count in each
  size_t n_tasks = 0;           // threads
};

// count_root: whether memory and threads of `root` itself count. Processes that come or go meanwhile may be
// missed.
ProcessTreeUse process_tree_use(pid_t root, bool count_root);

}  // namespace edgellm
