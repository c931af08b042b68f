// The program's bounds under Guard::kSystemCalls, where there are no namespaces: Landlock lets it read Python
// and its libraries and write its folder, the filter of system calls does the rest. It stays one process, so
// that ending it ends everything.
#include <cerrno>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "evaluate/sandbox/child_steps.h"

namespace edgellm {
namespace {

// Numbers and layouts of linux/landlock.h, whose older versions lack the later ones.
#ifndef SYS_landlock_create_ruleset
constexpr long SYS_landlock_create_ruleset = 444, SYS_landlock_add_rule = 445,
               SYS_landlock_restrict_self = 446;
#endif
struct RulesetAttributes {
  uint64_t files, network, scopes;
};
struct __attribute__((packed)) PathRule {
  uint64_t allowed;
  int32_t folder;
};
constexpr uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2, kReadFolder = 1 << 3,
                   kTruncate = 1 << 14, kDeviceControl = 1 << 15;
constexpr uint64_t kAllOfVersion3 = (1 << 15) - 1;
constexpr uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kDeviceControl;

bool allow(int rules, uint64_t handled, const AllowedPath& path) {
  const int file = open(path.path, O_PATH | O_CLOEXEC);
  if (file < 0) return errno == ENOENT;
  struct stat kind;
  bool done = fstat(file, &kind) == 0;
  uint64_t allowed = path.may_write ? handled : kExecute | kReadFile | kReadFolder;
  if (done && !S_ISDIR(kind.st_mode)) allowed &= kOfFiles;
  const PathRule rule = {allowed & handled, file};
  done = done && syscall(SYS_landlock_add_rule, rules, 1 /* PATH_BENEATH */, &rule, 0) == 0;
  close(file);
  return done;
}

void confine_files(const SandboxChildPlan& plan) {
  const int version = landlock_version();
  if (version < kLandlockVersionNeeded) {
    errno = ENOSYS;
    fail_child(plan.report, "Landlock");
  }
  RulesetAttributes handled = {kAllOfVersion3, 0, 0};
  size_t n_bytes = sizeof handled.files;
  if (version >= 4) handled.network = 3, n_bytes = 16;  // bind and connect of TCP
  if (version >= 5) handled.files |= kDeviceControl;
  if (version >= 6) handled.scopes = 3, n_bytes = sizeof handled;  // abstract sockets and signals
  const int rules = static_cast<int>(syscall(SYS_landlock_create_ruleset, &handled, n_bytes, 0));
  if (rules < 0) fail_child(plan.report, "landlock_create_ruleset");
  for (const AllowedPath& path : plan.allowed)
    if (!allow(rules, handled.files, path)) fail_child(plan.report, path.path);
  if (syscall(SYS_landlock_restrict_self, rules, 0) != 0) fail_child(plan.report, "landlock_restrict_self");
  close(rules);
}

}  // namespace

int landlock_version() {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, 1 /* CREATE_RULESET_VERSION */);
  return version < 0 ? 0 : static_cast<int>(version);
}

void run_confined(const SandboxChildPlan& plan) {
  die_with_parent(plan);
  if (getppid() != plan.parent) _exit(127);
  drop_capabilities(plan);
  if (chdir(plan.folder) != 0) fail_child(plan.report, "entering the program's folder");
  confine_files(plan);
  execute_python(plan);
}

}  // namespace edgellm
