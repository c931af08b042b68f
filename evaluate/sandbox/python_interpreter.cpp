#include "evaluate/sandbox/python_interpreter.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace edgellm {
namespace {

// The interpreter's own words, since python3 may be a script that chooses one.
constexpr const char* kQuestion =
    "import json, os, platform, sys; print(json.dumps([sys.executable, platform.python_version(), "
    "sys.prefix, "
    "sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.realpath(sys.executable))]))";

Result<std::string> output_of_python() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Error{fmt::format("python3: no pipe: {}", std::strerror(errno))};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::string arguments[] = {"python3", "-I", "-c", kQuestion};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), arguments[3].data(),
                  nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, "python3", &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string output;
  if (error == 0) {
    char buffer[1024];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);)
      if (n > 0) output.append(buffer, static_cast<size_t>(n));
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  close(ends[0]);
  if (error != 0)
    return Error{
        fmt::format("python3: wanted Python 3 on PATH to run programs with, got: {}; install it "
                    "(apt-get install python3)",
                    std::strerror(error))};
  return output;
}

}  // namespace

Result<PythonInterpreter> find_python() {
  EDGELLM_ASSIGN_OR_RETURN(const std::string output, output_of_python());
  const auto answer = nlohmann::json::parse(output, nullptr, false);
  const auto is_text = [](const nlohmann::json& value) {
    return value.is_string() && !value.get_ref<const std::string&>().empty();
  };
  if (!answer.is_array() || answer.size() != 6 || !std::all_of(answer.begin(), answer.end(), is_text) ||
      !answer[0].get_ref<const std::string&>().starts_with('/'))
    return Error{
        "python3: the one on PATH does not start or does not know where it is; try `python3 -V`, or "
        "install another"};
  PythonInterpreter python{answer[0], answer[1], {}};
  for (size_t i = 2; i < answer.size(); ++i) python.folders.push_back(answer[i]);
  return python;
}

}  // namespace edgellm
