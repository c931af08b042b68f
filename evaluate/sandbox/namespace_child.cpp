// The program's world under Guard::kNamespaces: a root of its own that holds Python and its libraries,
// read-only, and one small folder in memory; no network device, no other processes.
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "evaluate/sandbox/child_steps.h"

namespace edgellm {
namespace {

// Exists wherever the caller could map user IDs, and nothing the program needs lies under it.
constexpr char kMountPoint[] = "/proc";

struct RootPath {
  char text[4096];
};

bool in_root(const char* path, RootPath& whole) {
  const size_t n_prefix = sizeof kMountPoint - 1, n_bytes = strlen(path);
  if (n_prefix + n_bytes >= sizeof whole.text) return false;
  memcpy(whole.text, kMountPoint, n_prefix);
  memcpy(whole.text + n_prefix, path, n_bytes + 1);
  return true;
}

// As linux/mount.h has it, which some C libraries' own header contradicts.
struct MountAttributes {
  uint64_t set, clear, propagation, user_namespace;
};
constexpr uint64_t kReadOnly = 1, kNoSetUserId = 2, kNoDevices = 4;
#ifndef SYS_mount_setattr
constexpr long SYS_mount_setattr = 442;
#endif

// Before Linux 5.12 a mount's flags are set one mount at a time, and those that it has must be named again.
bool make_read_only_alone(const char* path, unsigned long more_flags) {
  struct statfs now;
  if (statfs(path, &now) != 0) return false;
  constexpr unsigned long kSameNumber = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME;
  constexpr unsigned long kRelatimeOfStatfs = 4096;
  unsigned long flags = static_cast<unsigned long>(now.f_flags) & kSameNumber;
  if (static_cast<unsigned long>(now.f_flags) & kRelatimeOfStatfs) flags |= MS_RELATIME;
  return mount(nullptr, path, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | flags | more_flags, nullptr) == 0;
}

bool bind_read_only(const char* source, const char* target, bool is_device) {
  if (mount(source, target, nullptr, MS_BIND | MS_REC, nullptr) != 0) return false;
  const MountAttributes attributes = {kReadOnly | kNoSetUserId | (is_device ? 0 : kNoDevices), 0, 0, 0};
  constexpr int kRecursive = 0x8000;  // AT_RECURSIVE
  if (syscall(SYS_mount_setattr, AT_FDCWD, target, kRecursive, &attributes, sizeof attributes) == 0)
    return true;
  if (errno != ENOSYS) return false;
  // What is mounted inside would stay writable: bind again without it.
  if (umount2(target, MNT_DETACH) != 0 || mount(source, target, nullptr, MS_BIND, nullptr) != 0) return false;
  return make_read_only_alone(target, is_device ? MS_NOSUID : MS_NOSUID | MS_NODEV);
}

bool take(const RootStep& step) {
  RootPath path;
  if (!in_root(step.path, path)) {
    errno = ENAMETOOLONG;
    return false;
  }
  switch (step.kind) {
    case RootStep::Kind::kFolder:
      return mkdir(path.text, 0755) == 0 || errno == EEXIST;
    case RootStep::Kind::kFile: {
      const int file = open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
      return file >= 0 && close(file) == 0;
    }
    case RootStep::Kind::kSymlink:
      return symlink(step.source, path.text) == 0;
    case RootStep::Kind::kBindFolder:
      return bind_read_only(step.source, path.text, false);
    case RootStep::Kind::kBindDevice:
      return bind_read_only(step.source, path.text, true);
    case RootStep::Kind::kWritable:
      return mount("tmpfs", path.text, "tmpfs", MS_NOSUID | MS_NODEV, step.source) == 0;
  }
  return false;
}

void write_program(const SandboxChildPlan& plan) {
  RootPath path;
  const int file =
      in_root(plan.program_path, path) ? open(path.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;
  if (file < 0) fail_child(plan.report, "creating the program's file");
  for (size_t at = 0; at < plan.n_program_bytes;) {
    const ssize_t n = write(file, plan.program + at, plan.n_program_bytes - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail_child(plan.report, "writing the program's file");
    at += static_cast<size_t>(n);
  }
  close(file);
}

void enter_new_root(const SandboxChildPlan& plan) {
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    fail_child(plan.report, "making mounts private");
  if (mount("tmpfs", kMountPoint, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m,nr_inodes=1024") != 0)
    fail_child(plan.report, "mounting a new root");
  for (const RootStep& step : plan.root)
    if (!take(step)) fail_child(plan.report, step.path);
  write_program(plan);
  if (chdir(kMountPoint) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
    fail_child(plan.report, "pivot_root");
  if (umount2(".", MNT_DETACH) != 0) fail_child(plan.report, "leaving the old root");
  if (chdir("/") != 0 || !make_read_only_alone("/", MS_NOSUID | MS_NODEV))
    fail_child(plan.report, "making the new root read-only");
  if (chdir("/tmp") != 0) fail_child(plan.report, "entering the program's folder");
}

// The C library's functions of these names ask every thread it believes to exist, so the calls are made
// directly.
void become_inside_user(const SandboxChildPlan& plan) {
  // Not allowed, and then not needed for safety, where the user who runs edgellm is not root.
  (void)!syscall(SYS_setgroups, 0, nullptr);
  if (syscall(SYS_setresgid, kInsideUser, kInsideUser, kInsideUser) != 0 ||
      syscall(SYS_setresuid, kInsideUser, kInsideUser, kInsideUser) != 0)
    fail_child(plan.report, "changing the user");
  drop_capabilities(plan);
}

pid_t clone_process() {
  return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

// Since Linux 5.14 the limit counts the processes of this namespace, before that all of the user's: then it
// cannot be used, and the caller's samples alone limit them.
pid_t start_child(const SandboxChildPlan& plan) {
  struct rlimit before;
  getrlimit(RLIMIT_NPROC, &before);
  const rlim_t n_all = plan.n_processes + 1;  // and this process
  const bool is_lower = n_all < before.rlim_max;
  struct rlimit limit = {n_all, before.rlim_max};
  if (is_lower) setrlimit(RLIMIT_NPROC, &limit);
  pid_t child = clone_process();
  const bool counts_namespace = child >= 0;
  if (child < 0 && errno == EAGAIN) {
    setrlimit(RLIMIT_NPROC, &before);
    child = clone_process();
  }
  if (child < 0) fail_child(plan.report, "clone");
  if (child > 0) return child;
  limit.rlim_max = n_all;
  if (counts_namespace && is_lower) setrlimit(RLIMIT_NPROC, &limit);
  execute_python(plan);
}

}  // namespace

void run_in_namespaces(const SandboxChildPlan& plan) {
  // Without its own copy of the other end the read below sees the parent's death.
  close(plan.go_parent_end);
  char byte;
  if (read(plan.go, &byte, 1) != 1) fail_child(plan.report, "mapping user IDs");
  enter_new_root(plan);
  become_inside_user(plan);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  // After the change of user, which would undo it.
  die_with_parent(plan);
  const pid_t program = start_child(plan);
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, __WALL);
    if (ended == program) {
      const SandboxReport report = {nullptr, 0, status};
      (void)!write(plan.report, &report, sizeof report);
      _exit(0);
    }
    if (ended < 0 && errno != EINTR) fail_child(plan.report, "waiting for the program");
  }
}

}  // namespace edgellm
