#include "recipes/measured_run.h"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "core/base/interrupt.h"
#include "core/base/machine.h"
#include "core/base/output_file.h"
#include "core/model_file/gguf.h"

extern char** environ;

namespace edgellm {

Result<MeasuredRun> measure_run(const std::filesystem::path& model, const MeasuredRunOptions& options) {
  std::filesystem::path report =
      std::filesystem::temp_directory_path() / fmt::format("edgellm-bench-{}.json", ::getpid());
  std::filesystem::path messages = report.string() + ".log";
  std::vector<std::string> arguments = {options.program.string(),
                                        "bench",
                                        model.string(),
                                        "--prompt",
                                        std::to_string(options.n_prompt),
                                        "--generate",
                                        std::to_string(options.n_generate),
                                        "--kv",
                                        std::string(to_string(options.kv_type)),
                                        "--runs",
                                        "1",
                                        "--no-results",
                                        "--json",
                                        report.string()};
  if (options.n_threads) {
    arguments.emplace_back("--threads");
    arguments.push_back(std::to_string(options.n_threads));
  }
  std::vector<char*> argv;
  for (auto& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, messages.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0600);
  pid_t child = 0;
  int code = posix_spawn(&child, options.program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0)
    return Error{
        fmt::format("cannot start {} to measure a run: {}", options.program.string(), std::strerror(code))};
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    if (interrupt_requested()) ::kill(child, SIGINT);
  auto text = read_text_file(report);
  auto said = read_text_file(messages);
  std::error_code ignored;
  std::filesystem::remove(report, ignored);
  std::filesystem::remove(messages, ignored);
  EDGELLM_RETURN_IF_ERROR(check_interrupt());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !text.ok()) {
    std::string why = said.ok() ? *said : "";
    while (!why.empty() && why.back() == '\n') why.pop_back();
    return Error{
        fmt::format("measuring a run of {} failed: {}", model.string(), why.substr(why.rfind('\n') + 1))};
  }
  auto j = nlohmann::json::parse(*text, nullptr, false);
  MeasuredRun run;
  if (j.is_object()) {
    run.peak_resident_bytes = j.value("peak_resident_bytes", uint64_t{0});
    if (j.contains("results") && j["results"].is_array() && !j["results"].empty()) {
      const auto& result = j["results"][0];
      run.prompt_tokens_per_second = result.value("prompt_tokens_per_second", 0.0);
      run.generated_tokens_per_second = result.value("generated_tokens_per_second", 0.0);
    }
  }
  return run;
}

Result<std::optional<MeasuredRun>> measure_run_in_memory(const std::filesystem::path& model,
                                                         const MeasuredRunOptions& options) {
  EDGELLM_ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(model));
  const Result<uint64_t> memory = describe_machine().n_memory_bytes;
  if (memory.ok() && file.n_file_bytes() > *memory / 2) return std::optional<MeasuredRun>();
  EDGELLM_ASSIGN_OR_RETURN(MeasuredRun run, measure_run(model, options));
  return std::optional(run);
}

}  // namespace edgellm
