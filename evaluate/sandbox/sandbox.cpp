#include "evaluate/sandbox/sandbox.h"

#include <cstring>
#include <fmt/format.h>

#include "evaluate/sandbox/program_run.h"
#include "evaluate/sandbox/python_interpreter.h"
#include "evaluate/sandbox/sandbox_child.h"
#include "evaluate/sandbox/system_call_filter.h"

namespace edgellm {

struct Sandbox::State {
  Guard guard;
  PythonInterpreter python;
  std::vector<sock_filter> filter;
};

namespace {

// Shows that a guard holds, not only that the kernel accepted it.
constexpr const char* kTrial = R"(
import os, socket
try:
    socket.socket()
    print("a socket was opened")
except OSError:
    pass
for folder in ("/", "/usr", "/etc", "/var/tmp", "/dev/shm"):
    try:
        os.close(os.open(folder + "/edgellm-sandbox-trial", os.O_WRONLY | os.O_CREAT))
        os.unlink(folder + "/edgellm-sandbox-trial")
        print("a file was written in " + folder)
    except OSError:
        pass
try:
    os.kill(-1, 0)
    print("other processes were reached")
except OSError:
    pass
with open(os.environ["TMPDIR"] + "/trial", "w") as file:
    file.write("x")
print("held")
)";

std::string name_of(Sandbox::Guard guard) {
  return guard == Sandbox::Guard::kNamespaces ? "Linux namespaces and a filter of system calls"
                                              : "Landlock and a filter of system calls";
}

std::string seconds(std::chrono::milliseconds time) {
  return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000);
}

}  // namespace

std::string describe(const SandboxOutcome& outcome, const SandboxLimits& limits) {
  const auto mib = [](size_t n_bytes) {
    return fmt::format("{:g} MiB", static_cast<double>(n_bytes) / (1 << 20));
  };
  switch (outcome.end) {
    case SandboxEnd::kExit:
      return fmt::format("exit code {}", outcome.exit_code);
    case SandboxEnd::kSignal:
      return fmt::format("signal {} ({})", outcome.signal, strsignal(outcome.signal));
    case SandboxEnd::kCpuTime:
      return "used more than " + seconds(limits.cpu_time) + " of CPU time";
    case SandboxEnd::kWallTime:
      return "took longer than " + seconds(limits.wall_time);
    case SandboxEnd::kMemory:
      return "wanted more than " + mib(limits.n_memory_bytes) + " of memory";
    case SandboxEnd::kProcesses:
      return fmt::format("started more than {} processes and threads", limits.n_processes);
    case SandboxEnd::kOutput:
      return "wrote more than " + mib(limits.n_output_bytes) + " of output";
    case SandboxEnd::kFolder:
      return "wrote more than " + mib(limits.n_folder_bytes) + " of files";
  }
  return "";
}

Sandbox::Sandbox(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sandbox::Sandbox(Sandbox&&) noexcept = default;
Sandbox& Sandbox::operator=(Sandbox&&) noexcept = default;
Sandbox::~Sandbox() = default;

Result<Sandbox> Sandbox::open(Guard guard) {
  if (guard == Guard::kSystemCalls && landlock_version() < kLandlockVersionNeeded)
    return Error{fmt::format("sandbox: wanted Landlock version {} or newer (Linux 6.2), got {}",
                             kLandlockVersionNeeded, landlock_version())};
  auto state = std::make_unique<State>();
  state->guard = guard;
  EDGELLM_ASSIGN_OR_RETURN(state->python, find_python());
  EDGELLM_ASSIGN_OR_RETURN(state->filter, system_call_filter(guard == Guard::kSystemCalls));
  Sandbox sandbox(std::move(state));
  EDGELLM_ASSIGN_OR_RETURN(const SandboxOutcome outcome, sandbox.run({kTrial, {}}));
  if (!outcome.exited_cleanly() || outcome.output_tail != "held\n")
    return Error{fmt::format("sandbox: wanted a trial of {} to end with 'held', got {}: {}", name_of(guard),
                             describe(outcome, {}), outcome.output_tail.substr(0, 300))};
  return sandbox;
}

Result<Sandbox> Sandbox::open() {
  EDGELLM_RETURN_IF_ERROR(find_python());
  Result<Sandbox> namespaces = open(Guard::kNamespaces);
  if (namespaces.ok()) return namespaces;
  Result<Sandbox> system_calls = open(Guard::kSystemCalls);
  if (system_calls.ok()) return system_calls;
  // Both begin with "sandbox: ".
  const auto reason = [](const Result<Sandbox>& refused) {
    const std::string& message = refused.error().message;
    return message.substr(message.starts_with("sandbox: ") ? 9 : 0);
  };
  return Error{fmt::format(
      "sandbox: programs cannot be run safely here: {}; {}. Allow unprivileged user namespaces (sysctl "
      "user.max_user_namespaces, kernel.unprivileged_userns_clone=1, "
      "kernel.apparmor_restrict_unprivileged_userns=0; in "
      "a container --security-opt seccomp=unconfined), or use Linux 6.2 or newer with Landlock",
      reason(namespaces), reason(system_calls))};
}

Result<SandboxOutcome> Sandbox::run(const SandboxRequest& request) const {
  return run_program({state_->guard, state_->python, state_->filter, request});
}

Sandbox::Guard Sandbox::guard() const {
  return state_->guard;
}

std::string Sandbox::description() const {
  return fmt::format("{}; Python {} at {}", name_of(state_->guard), state_->python.version,
                     state_->python.program);
}

}  // namespace edgellm
