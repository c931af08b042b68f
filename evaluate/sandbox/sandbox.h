// Runs a Python program that nobody has read: no network, one small folder that is all it can write, limits
// on time, memory, processes and output. Whatever it does, run() comes back, everything it started is dead,
// and nothing outside its folder has changed. What guards it is in docs/methods.md ("The sandbox").
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "core/base/result.h"

namespace edgellm {

struct SandboxLimits {
  std::chrono::milliseconds cpu_time{10'000};   // of all its processes together
  std::chrono::milliseconds wall_time{30'000};  // should be the longer one: other threads want the cores too
  size_t n_memory_bytes =
      size_t{1} << 30;      // address space of a process, and resident in all of them together
  size_t n_processes = 32;  // threads count too; under Guard::kSystemCalls 1 process, these threads
  size_t n_output_bytes = size_t{1} << 20;   // of standard output and error together
  size_t n_folder_bytes = size_t{64} << 20;  // files it leaves
};

struct SandboxRequest {
  std::string program;  // Python 3, run as `python3 program.py` in its folder
  SandboxLimits limits;
};

// Why a program stopped.
enum class SandboxEnd {
  kExit,     // by itself, with an exit code
  kSignal,   // killed by a signal that the sandbox did not send
  kCpuTime,  // the rest: a limit was reached
  kWallTime,
  kMemory,
  kProcesses,
  kOutput,
  kFolder,
};

struct SandboxOutcome {
  SandboxEnd end = SandboxEnd::kExit;
  int exit_code = 0;        // of kExit
  int signal = 0;           // of kSignal
  std::string output_tail;  // the last 4 KiB of standard output and error, invalid UTF-8 replaced
  std::chrono::milliseconds wall_time{0};
  size_t n_peak_bytes = 0;  // resident in all its processes together, as far as samples every 20 ms saw it

  bool exited_cleanly() const { return end == SandboxEnd::kExit && exit_code == 0; }
};

// "exit code 1", "signal 11 (Segmentation fault)", "used more than 10 s of CPU time" ...
std::string describe(const SandboxOutcome& outcome, const SandboxLimits& limits);

class Sandbox {
 public:
  // What holds a program in. kNamespaces also limits system calls.
  enum class Guard { kNamespaces, kSystemCalls };

  // Finds python3 and tries which guard this kernel grants, by running a small program under it.
  // Errors: no python3; neither guard is to be had (says what to enable). Never falls back to no guard.
  static Result<Sandbox> open();
  // The same with one guard only, for tests.
  static Result<Sandbox> open(Guard guard);

  Sandbox(Sandbox&&) noexcept;
  Sandbox& operator=(Sandbox&&) noexcept;
  ~Sandbox();

  // Blocks until the program and all it started are dead. Several threads may call it at once.
  // Errors: the sandbox could not be set up; never what the program did.
  Result<SandboxOutcome> run(const SandboxRequest& request) const;

  Guard guard() const;
  // One line for the record: the guard, Python's path and version.
  std::string description() const;

 private:
  struct State;
  explicit Sandbox(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace edgellm
