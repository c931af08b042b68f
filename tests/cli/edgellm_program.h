// For tests of the built program: runs it as a child, as a user would, and looks at what it says and leaves.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <regex>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "core/base/temporary_folder.h"

namespace edgellm::cli {

namespace fs = std::filesystem;

struct Outcome {
  int exit_code = -1;  // -1 when a signal ended it
  int ended_by = 0;    // the signal
  std::string out, err;
  // Lines of standard error that are no progress of a stage ("quantizing: 40%, 2s spent, 3s left").
  std::vector<std::string> messages() const {
    static const std::regex kProgress(R"(.*: \d+%, .* spent, .* left.*)");
    std::vector<std::string> lines;
    std::istringstream text(err);
    for (std::string line; std::getline(text, line);)
      if (!std::regex_match(line, kProgress)) lines.push_back(line);
    return lines;
  }
};

struct RunOptions {
  rlim_t most_file_bytes = RLIM_INFINITY;          // a write beyond fails, as on a full disk
  std::string out_to;                              // a file standard output goes to instead
  std::map<std::string, std::string> environment;  // on top of the test's own
  // Sent once `ready` says so, unless the program has ended by then.
  int signal = 0;
  std::function<bool()> ready;
};

inline std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A folder of the test's own; programs run in it, so that a file they should not leave is found.
class ProgramTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(fs::exists(program_)) << program_; }

  fs::path at(const std::string& name) const { return folder_ / name; }

  Outcome run(std::vector<std::string> arguments, const RunOptions& options = {}) {
    fs::path out = elsewhere_ / "out", err = elsewhere_ / "err";
    std::string out_to = options.out_to.empty() ? out.string() : options.out_to, program = program_.string();
    std::vector<char*> argv = {program.data()};
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    fs::remove(out);
    fs::remove(err);
    pid_t child = ::fork();
    if (child == 0) {
      // What the program keeps for a moment belongs into the folder that is looked at, too.
      ::setenv("TMPDIR", folder_.path().c_str(), 1);
      ::setenv("EDGELLM_RESULTS", results_folder().c_str(), 1);
      for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
      bool good = ::chdir(folder_.path().c_str()) == 0 && redirect("/dev/null", O_RDONLY, STDIN_FILENO) &&
                  redirect(out_to, O_WRONLY | O_CREAT, STDOUT_FILENO) &&
                  redirect(err, O_WRONLY | O_CREAT, STDERR_FILENO);
      if (options.most_file_bytes != RLIM_INFINITY) {
        rlimit limit = {options.most_file_bytes, options.most_file_bytes};
        good = good && ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
      }
      if (good) ::execv(program.c_str(), argv.data());
      ::_exit(99);
    }
    Outcome outcome;
    if (child < 0) {
      ADD_FAILURE() << "fork failed";
      return outcome;
    }
    int status = wait_for(child, options);
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.ended_by = WTERMSIG(status);
    outcome.out = contents(out);
    outcome.err = contents(err);
    return outcome;
  }

  // Where the program's result records go.
  fs::path results_folder() const { return elsewhere_ / "results"; }

  // What the program has printed so far, for RunOptions::ready.
  std::string said_so_far() const { return contents(elsewhere_ / "out") + contents(elsewhere_ / "err"); }

  // Whether there is a file or folder with this in its path.
  bool has(const std::string& part_of_path) const {
    std::error_code code;
    for (fs::recursive_directory_iterator entry(folder_.path(), code), end; entry != end;
         entry.increment(code)) {
      if (code) return false;
      if (entry->path().string().find(part_of_path) != std::string::npos) return true;
    }
    return false;
  }

  // Every file and folder, with a file's contents.
  std::map<std::string, std::string> everything() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_))
      found[fs::relative(entry.path(), folder_).string()] =
          entry.is_regular_file() ? contents(entry.path()) : "";
    return found;
  }

  // Runs what must fail: exit code 1, one line of error that holds `words`, and no file touched.
  void expect_refused(const std::vector<std::string>& arguments, const std::vector<std::string>& words,
                      const RunOptions& options = {}) {
    expect_fails(1, arguments, words, options);
  }
  // Usage: exit code 2, and the option named.
  void expect_usage_error(const std::vector<std::string>& arguments, const std::vector<std::string>& words) {
    expect_fails(2, arguments, words, {});
  }

  void expect_fails(int exit_code, const std::vector<std::string>& arguments,
                    const std::vector<std::string>& words, const RunOptions& options) {
    std::string command = "edgellm";
    for (const std::string& a : arguments) command += " " + a;
    SCOPED_TRACE(command);
    auto before = everything();
    Outcome outcome = run(arguments, options);
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err << "ended by signal " << outcome.ended_by;
    std::vector<std::string> lines = outcome.messages();
    // After a usage error a second line says where the options are explained.
    ASSERT_EQ(lines.size(), exit_code == 2 ? 2u : 1u) << outcome.err;
    EXPECT_TRUE(lines[0].starts_with("edgellm: ")) << lines[0];
    for (const std::string& word : words) EXPECT_NE(lines[0].find(word), std::string::npos) << lines[0];
    expect_same(before, everything());
  }

  static void expect_same(const std::map<std::string, std::string>& before,
                          const std::map<std::string, std::string>& after) {
    for (const auto& [name, bytes] : before) {
      auto now = after.find(name);
      ASSERT_NE(now, after.end()) << name << " is gone";
      EXPECT_TRUE(now->second == bytes) << name << " has changed";
    }
    for (const auto& [name, bytes] : after) EXPECT_TRUE(before.contains(name)) << name << " was left behind";
  }

  fs::path program_ = EDGELLM_PROGRAM;  // of this build
  TemporaryFolder folder_ = *TemporaryFolder::create("cli"),
                  elsewhere_ = *TemporaryFolder::create("cli-said");

 private:
  static bool redirect(const std::string& path, int flags, int descriptor) {
    int opened = ::open(path.c_str(), flags, 0600);
    return opened >= 0 && ::dup2(opened, descriptor) >= 0;
  }
  static int wait_for(pid_t child, const RunOptions& options) {
    int status = 0;
    bool sent = options.signal == 0;
    while (!sent) {
      if (::waitpid(child, &status, WNOHANG) == child) return status;
      if (options.ready()) {
        ::kill(child, options.signal);
        sent = true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ::waitpid(child, &status, 0);
    return status;
  }
};

}  // namespace edgellm::cli
