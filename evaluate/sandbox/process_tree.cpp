#include "evaluate/sandbox/process_tree.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace edgellm {
namespace {

struct ProcessRow {
  pid_t process, parent;
  unsigned long long n_ticks, n_tasks, n_pages;
};

// False when the process has gone.
bool read_row(int folder, const char* process, ProcessRow& row) {
  const int file = openat(folder, (std::string(process) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char text[1024];
  const ssize_t n = read(file, text, sizeof text - 1);
  close(file);
  if (n <= 0) return false;
  text[n] = 0;
  // "pid (name) state ppid ...": the name may hold anything.
  const char* fields = std::strrchr(text, ')');
  if (!fields) return false;
  unsigned long long user = 0, system = 0, n_tasks = 0, n_pages = 0;
  long long dead_user = 0, dead_system = 0;
  int parent = 0;
  if (std::sscanf(
          fields + 1,
          " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %llu %*d %*u %*u %llu",
          &parent, &user, &system, &dead_user, &dead_system, &n_tasks, &n_pages) != 7)
    return false;
  row = {std::atoi(process), parent,
         user + system + static_cast<unsigned long long>(dead_user) +
             static_cast<unsigned long long>(dead_system),
         n_tasks, n_pages};
  return true;
}

std::vector<ProcessRow> all_rows() {
  std::vector<ProcessRow> rows;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc"), closedir);
  if (!folder) return rows;
  while (const dirent* entry = readdir(folder.get())) {
    ProcessRow row;
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
        read_row(dirfd(folder.get()), entry->d_name, row))
      rows.push_back(row);
  }
  return rows;
}

}  // namespace

ProcessTreeUse process_tree_use(pid_t root, bool count_root) {
  std::unordered_multimap<pid_t, ProcessRow> children;
  std::vector<ProcessRow> open;
  for (const ProcessRow& row : all_rows()) {
    children.emplace(row.parent, row);
    if (row.process == root) open.push_back(row);
  }
  static const auto kTicksPerSecond = static_cast<unsigned long long>(sysconf(_SC_CLK_TCK));
  static const auto kPageBytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  ProcessTreeUse use;
  unsigned long long n_ticks = 0;
  while (!open.empty()) {
    const ProcessRow row = open.back();
    open.pop_back();
    n_ticks += row.n_ticks;
    if (row.process != root || count_root) {
      use.n_tasks += row.n_tasks;
      use.n_resident_bytes += row.n_pages * kPageBytes;
    }
    const auto [first, last] = children.equal_range(row.process);
    for (auto child = first; child != last; ++child) open.push_back(child->second);
  }
  use.cpu_time = std::chrono::milliseconds(n_ticks * 1000 / kTicksPerSecond);
  return use;
}

}  // namespace edgellm
