#include "evaluate/sandbox/program_watch.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <optional>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/text/pre_tokenizer.h"
#include "evaluate/sandbox/process_tree.h"

namespace edgellm {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kSampleInterval{20};
constexpr size_t kTailBytes = 4096;
constexpr int kMostDepth = 64;

// What comes through the pipe: counted, and its end kept.
class Output {
 public:
  // Reads what is there; `most` bounds the time spent on a program that never stops writing.
  void read_some(int file, size_t most) {
    char buffer[16384];
    for (size_t n_read = 0; n_read < most;) {
      const ssize_t n = read(file, buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      n_read += static_cast<size_t>(n);
      n_bytes_ += static_cast<size_t>(n);
      tail_.append(buffer, static_cast<size_t>(n));
      if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
    }
  }
  size_t n_bytes() const { return n_bytes_; }
  std::string tail() const {
    std::string storage;
    return std::string(valid_utf8(tail_, storage));
  }

 private:
  std::string tail_;
  size_t n_bytes_ = 0;
};

// As far as it can be read while a program changes it. A tree too deep to be walked at every sample counts as
// full.
size_t folder_bytes(const std::string& folder) {
  namespace fs = std::filesystem;
  size_t n_bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error),
       end;
       !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    n_bytes += 4096;  // a name and an inode are not free either
    if (entry->is_regular_file(gone) && !entry->is_symlink(gone)) {
      const auto n = entry->file_size(gone);
      if (!gone) n_bytes += n;
    }
    if (entry.depth() > kMostDepth) return SIZE_MAX;
  }
  return n_bytes;
}

std::optional<SandboxEnd> limit_reached(const WatchedProgram& program, const SandboxLimits& limits,
                                        const Output& output, SandboxOutcome& outcome) {
  const bool is_alone = program.guard == Sandbox::Guard::kSystemCalls;
  const ProcessTreeUse use = process_tree_use(program.process, is_alone);
  outcome.n_peak_bytes = std::max(outcome.n_peak_bytes, use.n_resident_bytes);
  if (output.n_bytes() > limits.n_output_bytes) return SandboxEnd::kOutput;
  if (use.cpu_time > limits.cpu_time) return SandboxEnd::kCpuTime;
  if (outcome.wall_time > limits.wall_time) return SandboxEnd::kWallTime;
  if (use.n_resident_bytes > limits.n_memory_bytes) return SandboxEnd::kMemory;
  if (use.n_tasks > limits.n_processes) return SandboxEnd::kProcesses;
  if (is_alone && folder_bytes(program.folder) > limits.n_folder_bytes) return SandboxEnd::kFolder;
  return std::nullopt;
}

// A program that could not get memory says so in its last line.
bool ended_in_memory_error(std::string_view output) {
  while (output.ends_with('\n')) output.remove_suffix(1);
  return output.substr(output.rfind('\n') + 1).starts_with("MemoryError");
}

void set_end(int wait_status, SandboxOutcome& outcome) {
  if (WIFSIGNALED(wait_status)) {
    outcome.signal = WTERMSIG(wait_status);
    outcome.end = outcome.signal == SIGXCPU ? SandboxEnd::kCpuTime : SandboxEnd::kSignal;
  } else {
    outcome.exit_code = WEXITSTATUS(wait_status);
    const bool lacked_memory = outcome.exit_code == 1 && ended_in_memory_error(outcome.output_tail);
    outcome.end = lacked_memory ? SandboxEnd::kMemory : SandboxEnd::kExit;
  }
}

}  // namespace

Result<SandboxOutcome> watch_program(const WatchedProgram& program, const SandboxLimits& limits) {
  const Clock::time_point start = Clock::now();
  SandboxOutcome outcome;
  Output output;
  std::optional<SandboxEnd> ended_by;
  Clock::time_point next_sample = start + kSampleInterval;
  for (;;) {
    pollfd files[2] = {{program.process_file, POLLIN, 0}, {program.output, POLLIN, 0}};
    // Once killed, only its death is waited for; a pipe whose writers are gone would keep poll from waiting.
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next_sample - Clock::now()).count();
    poll(files, ended_by ? 1 : 2, static_cast<int>(std::max<long>(wait, 0)));
    if (!ended_by) output.read_some(program.output, size_t{1} << 20);
    if (files[0].revents != 0) break;
    if ((files[1].revents & POLLHUP) != 0 && (files[1].revents & POLLIN) == 0) usleep(1000);
    outcome.wall_time = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
    if (Clock::now() < next_sample && output.n_bytes() <= limits.n_output_bytes) continue;
    next_sample = Clock::now() + kSampleInterval;
    if (ended_by) continue;
    ended_by = limit_reached(program, limits, output, outcome);
    if (ended_by) kill(program.process, SIGKILL);
  }
  int wait_status = 0;
  pid_t ended = 0;
  while ((ended = waitpid(program.process, &wait_status, __WALL)) < 0 && errno == EINTR) {
  }
  if (ended < 0)
    return Error{fmt::format("sandbox: waiting for the program: {}; SIGCHLD must not be ignored",
                             std::strerror(errno))};
  // The pipe's writers are dead; what they left is at most a pipe full.
  output.read_some(program.output, size_t{1} << 20);
  outcome.wall_time = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
  outcome.output_tail = output.tail();

  SandboxReport report;
  const bool has_report = read(program.report, &report, sizeof report) == sizeof report;
  if (has_report && report.failed_step)
    return Error{fmt::format("sandbox: {}: {}", report.failed_step, std::strerror(report.error))};
  if (ended_by)
    outcome.end = *ended_by;
  else if (output.n_bytes() > limits.n_output_bytes)
    outcome.end = SandboxEnd::kOutput;
  else
    set_end(has_report ? report.wait_status : wait_status, outcome);
  return outcome;
}

}  // namespace edgellm
