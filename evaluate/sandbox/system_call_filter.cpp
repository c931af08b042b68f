#include "evaluate/sandbox/system_call_filter.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace edgellm {
namespace {

// Names that the library or the CPU does not know are left out: the kernel has no such call then, or only
// under a number that old programs used.
constexpr const char* kNever[] = {
    // the network; a pair of connected sockets is allowed, since asyncio needs one
    "socket",
    // other processes and their memory
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    "userfaultfd", "perf_event_open",
    // namespaces, mounts, files by handle
    "unshare", "setns", "mount", "umount", "umount2", "pivot_root", "chroot", "mount_setattr", "move_mount",
    "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "name_to_handle_at", "open_by_handle_at",
    "quotactl", "quotactl_fd", "fanotify_init",
    // calls that would not pass this filter
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf",
    // memory that neither the address space nor the resident set counts
    "memfd_create", "memfd_secret", "shmget", "msgget", "semget", "mq_open",
    // the kernel
    "add_key", "request_key", "keyctl", "kexec_load", "kexec_file_load", "init_module", "finit_module",
    "delete_module", "reboot", "swapon", "swapoff", "syslog", "acct", "personality", "iopl", "ioperm",
    "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "vhangup",
    "lookup_dcookie"};

constexpr const char* kNeverAlone[] = {
    "fork", "vfork", "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_open",
    "pidfd_send_signal", "setpriority", "sched_setaffinity", "sched_setscheduler", "sched_setparam",
    "sched_setattr", "ioprio_set", "migrate_pages", "move_pages", "setpgid",
    // Landlock leaves these open
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes",
    "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr",
    "lremovexattr", "fremovexattr", "removexattrat", "file_setattr", "mknod", "mknodat", "flock"};

constexpr unsigned kNamespaceFlags[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                                        CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};

constexpr uint32_t kDeny = SCMP_ACT_ERRNO(EPERM);

// Collects the first failure of a series of rules.
class Rules {
 public:
  Rules() : context_(seccomp_init(SCMP_ACT_ALLOW), seccomp_release) {}
  void deny(const char* name) { add(kDeny, name, {}); }
  void deny(const char* name, scmp_arg_cmp argument) { add(kDeny, name, {argument}); }
  void add(uint32_t action, const char* name, std::initializer_list<scmp_arg_cmp> arguments) {
    const int call = seccomp_syscall_resolve_name(name);
    if (!context_ || error_ != 0 || call == __NR_SCMP_ERROR) return;
    error_ = -seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(arguments.size()),
                                     arguments.begin());
  }
  // Version 2.5 of the library writes programs only to files.
  Result<std::vector<sock_filter>> program() {
    if (!context_ || error_ != 0) return failure("rules", error_);
    const int file = memfd_create("edgellm-filter", MFD_CLOEXEC);
    if (file < 0) return failure("memory file", errno);
    std::vector<sock_filter> filter;
    int error = -seccomp_export_bpf(context_.get(), file);
    const off_t n_bytes = lseek(file, 0, SEEK_END);
    if (error == 0 && n_bytes > 0) {
      filter.resize(static_cast<size_t>(n_bytes) / sizeof(sock_filter));
      if (pread(file, filter.data(), static_cast<size_t>(n_bytes), 0) != n_bytes) error = EIO;
    }
    close(file);
    if (error != 0 || filter.empty()) return failure("program", error);
    return filter;
  }

 private:
  static Error failure(const char* part, int error) {
    return Error{fmt::format("sandbox: libseccomp made no {}: {}", part, std::strerror(error))};
  }
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int error_ = 0;
};

}  // namespace

Result<std::vector<sock_filter>> system_call_filter(bool alone) {
  Rules rules;
  for (const char* name : kNever) rules.deny(name);
  // Its flags lie in memory that a filter cannot read; C libraries fall back to clone.
  rules.add(SCMP_ACT_ERRNO(ENOSYS), "clone3", {});
  for (const unsigned flag : kNamespaceFlags) rules.deny("clone", SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
  rules.deny("ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
  if (alone) {
    for (const char* name : kNeverAlone) rules.deny(name);
    rules.deny("clone", SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    rules.deny("prlimit64", SCMP_A0(SCMP_CMP_NE, 0, 0));
    // Signals to the owner of a descriptor; flags of a file.
    for (const unsigned command : {F_SETOWN, 15 /* F_SETOWN_EX */, 10 /* F_SETSIG */})
      rules.deny("fcntl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, command));
    for (const unsigned command : {0x8901u /* FIOSETOWN */, 0x8902u /* SIOCSPGRP */,
                                   0x40086602u /* FS_IOC_SETFLAGS */, 0x401c5820u /* FS_IOC_FSSETXATTR */})
      rules.deny("ioctl", SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, command));
  }
  return rules.program();
}

}  // namespace edgellm
