// Programs that try to get out, run under each guard that this kernel grants.
#include "evaluate/sandbox/sandbox.h"

#include <arpa/inet.h>
#include <array>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <optional>
#include <set>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include "core/base/temporary_folder.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;
using Guard = Sandbox::Guard;
using std::chrono::milliseconds;

// The sandbox, or why the guard cannot be had here.
const Result<Sandbox>& sandbox_under(Guard guard) {
  if (guard == Guard::kNamespaces) {
    static const auto namespaces = Sandbox::open(Guard::kNamespaces);
    return namespaces;
  }
  static const auto system_calls = Sandbox::open(Guard::kSystemCalls);
  return system_calls;
}

// A folder that anybody may write, and a file in it: what the programs try to change.
class OutsideFolder {
 public:
  OutsideFolder() {
    fs::permissions(folder_.path(), fs::perms::all);
    std::ofstream(file()) << "kept";
    fs::permissions(file(), fs::perms::all);
  }
  fs::path path() const { return folder_.path(); }
  fs::path file() const { return folder_ / "file"; }
  bool is_unchanged() const {
    std::ifstream file_in(file());
    std::string text;
    std::getline(file_in, text);
    return text == "kept" && fs::status(file()).permissions() == fs::perms::all &&
           std::distance(fs::directory_iterator(folder_), fs::directory_iterator()) == 1;
  }

 private:
  TemporaryFolder folder_ = *TemporaryFolder::create("outside");
};

class SandboxTest : public testing::TestWithParam<Guard> {
 protected:
  void SetUp() override {
    if (!sandbox_under(GetParam()).ok()) GTEST_SKIP() << sandbox_under(GetParam()).error().message;
    limits.cpu_time = milliseconds(3000);
    limits.wall_time = milliseconds(10000);
    limits.n_memory_bytes = size_t{256} << 20;
    limits.n_processes = 16;
    limits.n_folder_bytes = size_t{8} << 20;
    limits.n_output_bytes = 100'000;
  }

  SandboxOutcome run(const std::string& program) {
    auto outcome = sandbox_under(GetParam())->run({program, limits});
    EXPECT_TRUE(outcome.ok()) << outcome.error().message;
    return outcome.ok() ? *outcome : SandboxOutcome{};
  }
  // A program that tries something and goes on; "end" is printed last.
  std::string output_of(const std::string& program) {
    const SandboxOutcome outcome = run(program + "\nprint('end')\n");
    EXPECT_TRUE(outcome.exited_cleanly()) << describe(outcome, limits) << "\n" << outcome.output_tail;
    return outcome.output_tail;
  }
  // Each of `statements` must raise an OSError (or what else `errors` names).
  void expect_refused(const std::vector<std::string>& statements, const std::string& preamble,
                      const std::string& errors = "OSError") {
    std::string program = "import ctypes, os, shutil, signal, socket, subprocess\n" + preamble;
    for (const std::string& statement : statements)
      program += fmt::format("\ntry:\n  {}\n  print('done:', {:?})\nexcept {}: pass\n", statement, statement,
                             errors);
    EXPECT_EQ(output_of(program), "end\n");
  }

  SandboxLimits limits;
};

std::string guard_name(const testing::TestParamInfo<Guard>& info) {
  return info.param == Guard::kNamespaces ? "namespaces" : "system_calls";
}
INSTANTIATE_TEST_SUITE_P(Guards, SandboxTest, testing::Values(Guard::kNamespaces, Guard::kSystemCalls),
                         guard_name);

TEST_P(SandboxTest, a_program_runs_and_its_output_is_kept) {
  const SandboxOutcome outcome = run(
      "import json, math, re, sys, collections\nprint(math.gcd(12, 18))\nprint('error', file=sys.stderr)\n");
  EXPECT_TRUE(outcome.exited_cleanly());
  EXPECT_NE(outcome.output_tail.find("6\n"), std::string::npos);
  EXPECT_NE(outcome.output_tail.find("error\n"), std::string::npos);
}

TEST_P(SandboxTest, says_how_a_program_ended) {
  EXPECT_EQ(run("import sys; sys.exit(3)").exit_code, 3);
  EXPECT_EQ(describe(run("raise ValueError('x')"), limits), "exit code 1");
  EXPECT_NE(run("raise ValueError('told')").output_tail.find("ValueError: told"), std::string::npos);
  const SandboxOutcome fault = run("import ctypes; ctypes.string_at(0)");
  EXPECT_EQ(fault.end, SandboxEnd::kSignal);
  EXPECT_EQ(fault.signal, SIGSEGV);
}

TEST_P(SandboxTest, the_program_knows_nothing_of_the_environment_and_reads_nothing_from_the_terminal) {
  setenv("EDGELLM_TEST_SECRET", "secret", 1);
  EXPECT_EQ(output_of("import os, sys\nassert 'EDGELLM_TEST_SECRET' not in os.environ\n"
                      "assert sys.stdin.read() == ''\nassert len(os.environ) < 10\n"),
            "end\n");
}

TEST_P(SandboxTest, inherits_no_open_file) {
  const OutsideFolder outside;
  const int file = open(outside.file().c_str(), O_RDWR);  // not closed on exec
  EXPECT_EQ(output_of("import os\nopen_files = []\nfor i in range(3, 256):\n  try:\n    os.fstat(i); "
                      "open_files.append(i)\n"
                      "  except OSError: pass\nassert not open_files, open_files"),
            "end\n");
  close(file);
  EXPECT_TRUE(outside.is_unchanged());
}

TEST_P(SandboxTest, can_write_its_own_folder_only) {
  const OutsideFolder outside;
  std::vector<std::string> statements;
  for (const char* folder :
       {"/", "/usr", "/usr/lib", "/etc", "/var/tmp", "/dev/shm", "/dev", "/home", "/root", "/run", ".."})
    statements.push_back(fmt::format("open('{}/edgellm-intruder', 'w')", folder));
  const std::string file = outside.file().string(), folder = outside.path().string();
  for (const std::string statement :
       {"open('{f}', 'w')", "open('{f}', 'r+')", "os.truncate('{f}', 0)", "os.remove('{f}')",
        "os.rename('{f}', 'x')", "os.rename('program.py', '{f}')", "os.link('{f}', 'linked')",
        "os.chmod('{f}', 0)", "os.utime('{f}')", "os.mkdir('{d}/new')", "os.symlink('x', '{d}/new')",
        "os.mkfifo('{d}/new')", "os.chown('{f}', 1, 1)", "os.listdir('{d}') and None or open('{d}/new', 'w')",
        "shutil.rmtree('{d}')"})
    statements.push_back(fmt::format(fmt::runtime(statement), fmt::arg("f", file), fmt::arg("d", folder)));
  expect_refused(statements,
                 "open('mine', 'w').write('x')\nos.mkdir('own')\nopen('own/mine', 'w').write('y')\n"
                 "os.rename('own/mine', 'own/yours')\nos.remove('own/yours')\nos.rmdir('own')\n");
  EXPECT_TRUE(outside.is_unchanged());
  EXPECT_FALSE(fs::exists("/dev/shm/edgellm-intruder"));
  EXPECT_FALSE(fs::exists("/var/tmp/edgellm-intruder"));
  EXPECT_FALSE(fs::exists("/edgellm-intruder"));
}

TEST_P(SandboxTest, links_in_its_folder_lead_nowhere) {
  const OutsideFolder outside;
  expect_refused({"open('link', 'w')", "open('folder/new', 'w')", "shutil.rmtree('folder/')",
                  "os.remove('folder/file')", "os.truncate('link', 0)"},
                 fmt::format("os.symlink('{}', 'link')\nos.symlink('{}', 'folder')\n",
                             outside.file().string(), outside.path().string()));
  EXPECT_TRUE(outside.is_unchanged());
}

TEST_P(SandboxTest, deletes_nothing_outside) {
  const OutsideFolder outside;
  run("import shutil\nfor d in ('/tmp', '/home', '/root', '/var', '/etc', '/'):\n"
      "  shutil.rmtree(d, ignore_errors=True)\n");
  EXPECT_TRUE(outside.is_unchanged());
  EXPECT_TRUE(fs::exists("/etc/passwd"));
}

TEST_P(SandboxTest, cannot_read_the_users_files) {
  const OutsideFolder outside;
  expect_refused({fmt::format("open('{}').read()", outside.file().string()), "open('/etc/passwd').read()",
                  "open('/proc/1/environ').read()", fmt::format("open('/proc/{}/environ').read()", getpid())},
                 "");
}

TEST_P(SandboxTest, leaves_nothing_behind) {
  auto folder = TemporaryFolder::create("temporary");
  ASSERT_TRUE(folder.ok());
  setenv("TMPDIR", folder->path().c_str(), 1);
  // Deeper than a path may be long, with a folder that cannot be listed and a link to all there is.
  run("import os\nfor i in range(2000):\n  os.mkdir('d' * 50); os.chdir('d' * 50)\nopen('f', 'w')\n"
      "os.mkdir('closed', 0)\nos.symlink('/', 'root')\n");
  unsetenv("TMPDIR");
  EXPECT_TRUE(fs::is_empty(folder->path()));
}

TEST_P(SandboxTest, reaches_no_network) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t n_bytes = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener, 4), 0);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &n_bytes);
  expect_refused(
      {fmt::format("socket.create_connection(('127.0.0.1', {}), 2)", ntohs(address.sin_port)),
       "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
       "socket.socket(socket.AF_INET6)", "socket.socket(socket.AF_UNIX).connect(chr(0) + 'edgellm')",
       "socket.socket(socket.AF_UNIX).bind('here')", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)"},
      "");
  // The attempt would have left a connection to accept.
  timeval no_wait = {0, 1000};
  setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &no_wait, sizeof no_wait);
  EXPECT_LT(accept(listener, nullptr, nullptr), 0);
  close(listener);
}

TEST_P(SandboxTest, cannot_signal_or_trace_others) {
  // In namespaces the parent is process 0 or 1, which no signal from inside ends.
  const SandboxOutcome outcome =
      run(fmt::format("import ctypes, fcntl, os, signal, socket\nsignal.signal(signal.SIGIO, "
                      "signal.SIG_IGN)\nc = ctypes.CDLL(None)\n"
                      "for p in (os.getppid(), {0}, -1, 1):\n"
                      "  for s in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):\n"
                      "    try: os.kill(p, s)\n    except (OSError, OverflowError): pass\n"
                      "  for owner in (p, -p):\n    a, b = socket.socketpair()\n"
                      "    try:\n      fcntl.fcntl(a, fcntl.F_SETOWN, owner)\n"
                      "      fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC)\n      b.send(b'x')\n"
                      "    except (OSError, OverflowError): pass\n"
                      "  c.ptrace(16, p, 0, 0)\n  c.syscall(234, {0}, {0}, 9)\n",
                      getpid()));
  // kill(-1) spares the caller; whatever came of it, this test is still here.
  EXPECT_EQ(describe(outcome, limits), "exit code 0") << outcome.output_tail;
}

TEST_P(SandboxTest, ends_a_fork_bomb) {
  limits.cpu_time = milliseconds(1000);
  run("import os\nwhile True:\n  try: os.fork()\n  except OSError: pass\n");
  EXPECT_TRUE(run("print(1)").exited_cleanly());
}

TEST_P(SandboxTest, limits_processes_and_threads) {
  limits.wall_time = milliseconds(3000);
  const SandboxOutcome outcome =
      run("import threading, time\nn = 0\ntry:\n  while n < 200:\n    threading.Thread(target=time.sleep, "
          "args=(2,), "
          "daemon=True).start(); n += 1\nexcept RuntimeError: pass\nif n < 20: raise "
          "SystemExit(7)\ntime.sleep(2)\n");
  EXPECT_TRUE(outcome.end == SandboxEnd::kProcesses || outcome.exit_code == 7) << describe(outcome, limits);
}

TEST_P(SandboxTest, ends_daemons_with_the_program) {
  const std::string name = fmt::format("daemon{}", getpid());
  const SandboxOutcome outcome = run(fmt::format(
      "import ctypes, os, time\ntry:\n  if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
      "      ctypes.CDLL(None).prctl(15, b'{}', 0, 0, 0)\n      print('daemon', flush=True)\n"
      "      while True: time.sleep(0.01)\n    time.sleep(0.3)\n    os._exit(0)\n  os.wait()\n"
      "except PermissionError: pass\nprint('parent')\n",
      name));
  EXPECT_TRUE(outcome.exited_cleanly()) << outcome.output_tail;
  EXPECT_EQ(outcome.output_tail, GetParam() == Guard::kNamespaces ? "daemon\nparent\n" : "parent\n");
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "comm");
    std::string line;
    std::getline(file, line);
    EXPECT_NE(line, name) << entry.path();
  }
}

TEST_P(SandboxTest, limits_memory) {
  EXPECT_EQ(describe(run("x = bytearray(10**9)"), limits), "wanted more than 256 MiB of memory");
  EXPECT_EQ(run("x = []\nwhile True: x.append(bytes(10**6))").end, SandboxEnd::kMemory);
}

TEST_P(SandboxTest, limits_the_memory_of_all_its_processes_together) {
  if (GetParam() == Guard::kSystemCalls) GTEST_SKIP() << "there is one process under this guard";
  const SandboxOutcome outcome =
      run("import os, time\nfor i in range(6):\n  if os.fork() == 0: break\nx = b'x' * (120 << "
          "20)\ntime.sleep(8)\n");
  EXPECT_EQ(outcome.end, SandboxEnd::kMemory) << describe(outcome, limits) << outcome.output_tail;
}

TEST_P(SandboxTest, limits_what_it_writes_in_its_folder) {
  const SandboxOutcome outcome =
      run("import time\nfor i in range(100):\n  with open(f'f{i}', 'wb') as f: f.write(bytes(10**6))\n  "
          "time.sleep(0.01)\n");
  EXPECT_FALSE(outcome.exited_cleanly());
  EXPECT_TRUE(outcome.end == SandboxEnd::kFolder ||
              outcome.output_tail.find("No space left") != std::string::npos)
      << describe(outcome, limits) << outcome.output_tail;
}

TEST_P(SandboxTest, limits_cpu_time) {
  limits.cpu_time = milliseconds(300);
  const SandboxOutcome outcome = run("while True: pass");
  EXPECT_EQ(describe(outcome, limits), "used more than 0.3 s of CPU time");
}

TEST_P(SandboxTest, limits_wall_time_of_a_program_that_ignores_signals) {
  limits.wall_time = milliseconds(400);
  EXPECT_EQ(run("import signal, time\nfor s in range(1, 32):\n  try: signal.signal(s, signal.SIG_IGN)\n"
                "  except OSError: pass\nwhile True: time.sleep(100)")
                .end,
            SandboxEnd::kWallTime);
}

TEST_P(SandboxTest, limits_output) {
  const SandboxOutcome outcome = run("while True: print('x' * 1000)");
  EXPECT_EQ(outcome.end, SandboxEnd::kOutput);
  EXPECT_LE(outcome.output_tail.size(), 4096u);
}

TEST_P(SandboxTest, keeps_the_end_of_long_output_as_valid_text) {
  const SandboxOutcome outcome =
      run("import os\nprint('a' * 50000, flush=True)\nos.write(1, b'\\xff\\xfe')\nprint('the end')");
  EXPECT_TRUE(outcome.exited_cleanly());
  EXPECT_TRUE(outcome.output_tail.ends_with("the end\n"));
  EXPECT_EQ(outcome.output_tail.find('\xff'), std::string::npos);
}

TEST_P(SandboxTest, survives_endless_recursion) {
  limits.n_memory_bytes = size_t{128} << 20;
  const SandboxOutcome outcome =
      run("import sys\nsys.setrecursionlimit(10**9)\ndef f(x): return [f(x)]\nf([])\n");
  EXPECT_FALSE(outcome.exited_cleanly());
}

TEST_P(SandboxTest, runs_several_programs_at_once) {
  std::array<std::string, 4> outputs;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < outputs.size(); ++i)
    threads.emplace_back([&, i] { outputs[i] = run(fmt::format("print({} * 7)", i)).output_tail; });
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < outputs.size(); ++i) EXPECT_EQ(outputs[i], fmt::format("{}\n", i * 7));
}

TEST(Sandbox, takes_the_strongest_guard_there_is_or_says_what_to_enable) {
  const auto sandbox = Sandbox::open();
  if (sandbox.ok()) {
    std::cout << "guard: " << sandbox->description() << "\n";
    EXPECT_EQ(sandbox->guard(),
              sandbox_under(Guard::kNamespaces).ok() ? Guard::kNamespaces : Guard::kSystemCalls);
  } else {
    EXPECT_EQ(sandbox.error().message.find('\n'), std::string::npos);
    std::cout << sandbox.error().message << "\n";
  }
}

TEST(Sandbox, says_that_python_is_missing) {
  const std::string path = getenv("PATH");
  setenv("PATH", "/nonexistent", 1);
  const auto sandbox = Sandbox::open();
  setenv("PATH", path.c_str(), 1);
  ASSERT_FALSE(sandbox.ok());
  EXPECT_NE(sandbox.error().message.find("apt-get install python3"), std::string::npos)
      << sandbox.error().message;
}

}  // namespace
}  // namespace edgellm
