#include "evaluate/sandbox/child_steps.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace edgellm {
namespace {

// A signal ignored or blocked here would stay so in the program.
void reset_signals() {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < SIGRTMIN; ++signal) sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Leaves 0, 1, 2 and the report, which the exec closes. Returns the report's descriptor.
int keep_own_files(const SandboxChildPlan& plan) {
  // Any of them may have one of the first three numbers.
  const int null_file = fcntl(plan.null_file, F_DUPFD_CLOEXEC, 10);
  const int output = fcntl(plan.output, F_DUPFD_CLOEXEC, 10);
  const int report = fcntl(plan.report, F_DUPFD_CLOEXEC, 10);
  if (null_file < 0 || output < 0 || report < 0) fail_child(plan.report, "keeping a descriptor");
  if (dup2(null_file, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
    fail_child(report, "setting the standard descriptors");
  if (syscall(SYS_close_range, 3, report - 1, 0) != 0 || syscall(SYS_close_range, report + 1, ~0u, 0) != 0) {
    struct rlimit files;
    const rlim_t n_files = getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 1 << 16;
    for (int file = 3; static_cast<rlim_t>(file) < n_files; ++file)
      if (file != report) close(file);
  }
  return report;
}

}  // namespace

void fail_child(int report, const char* step) {
  const SandboxReport failure = {step, errno, 0};
  (void)!write(report, &failure, sizeof failure);
  _exit(127);
}

void die_with_parent(const SandboxChildPlan& plan) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail_child(plan.report, "prctl(PR_SET_PDEATHSIG)");
}

void drop_capabilities(const SandboxChildPlan& plan) {
  for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;) ++capability;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) fail_child(plan.report, "capset");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail_child(plan.report, "prctl(PR_SET_NO_NEW_PRIVS)");
}

void execute_python(const SandboxChildPlan& plan) {
  setsid();
  reset_signals();
  const int report = keep_own_files(plan);
  for (const ResourceLimit& limit : plan.limits) {
    const struct rlimit both = {limit.most, limit.most};
    if (setrlimit(static_cast<__rlimit_resource_t>(limit.resource), &both) != 0)
      fail_child(report, "setrlimit");
  }
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &plan.filter, 0, 0) != 0) fail_child(report, "seccomp");
  execve(plan.python, plan.arguments, plan.environment);
  fail_child(report, "starting python3");
}

}  // namespace edgellm
