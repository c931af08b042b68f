#include "evaluate/tasks/humaneval_task.h"

#include <fmt/format.h>
#include <set>

#include "evaluate/tasks/item_fields.h"
#include "evaluate/tasks/item_reader.h"
#include "evaluate/tasks/python_answer.h"

namespace edgellm {
namespace {

constexpr size_t kMostTokens = 512;
constexpr std::string_view kPrompt =
    "Complete this Python function. Answer with the whole function in one Python code block.\n\n"
    "```python\n{prompt}\n```";

// Printed when the last test has passed. A program that leaves early, even with exit code 0, has not said it.
constexpr std::string_view kPassed = "edgellm: every test passed";

std::string trimmed_end(std::string text) {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

// As a Python literal; JSON's escapes are Python's when other characters stand for themselves.
std::string python_literal(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Runs `program` as the official program does: by exec, with globals of its own, not as __main__.
std::string wrapped(const std::string& program) {
  // The text is on a line of its own, which no traceback shows. What the answer printed and Python still
  // holds back is not written: it would come after the last line, as much as there is.
  return "import os\nwrite, leave = os.write, os._exit\nanswer = " + python_literal(program) +
         "\nexec(compile(answer, 'answer.py', 'exec'), {})\nwrite(1, " +
         python_literal("\n" + std::string(kPassed) + "\n") + ".encode())\nleave(0)\n";
}

}  // namespace

HumanEvalTask::HumanEvalTask(Sandbox sandbox, SandboxLimits limits)
    : sandbox_(std::move(sandbox)), limits_(limits) {}

SandboxLimits HumanEvalTask::default_limits() {
  SandboxLimits limits;
  limits.cpu_time = std::chrono::seconds(5);
  limits.wall_time = std::chrono::seconds(30);
  return limits;
}

Result<TaskItems> HumanEvalTask::read(const std::filesystem::path& path, size_t n_most) const {
  std::set<std::string> ids;
  const auto make = [&](const nlohmann::json& record, size_t line, std::vector<TaskItem>& items) -> Status {
    TaskItem item;
    EDGELLM_ASSIGN_OR_RETURN(const std::string prompt, required_text(record, {"prompt"}));
    EDGELLM_ASSIGN_OR_RETURN(item.reference, required_text(record, {"canonical_solution"}));
    EDGELLM_RETURN_IF_ERROR(required_text(record, {"entry_point"}));
    EDGELLM_RETURN_IF_ERROR(required_text(record, {"test"}));
    item.id = record_id(record, line);
    if (!ids.insert(item.id).second)
      return Error{fmt::format("wanted a new task_id, got '{}' again", item.id)};
    item.prompt = fmt::format(fmt::runtime(kPrompt), fmt::arg("prompt", trimmed_end(prompt)));
    item.max_tokens = kMostTokens;
    items.push_back(std::move(item));
    return {};
  };
  return read_items(read_json_lines, path, n_most, make);
}

Result<ItemScore> HumanEvalTask::score(const TaskItem& item, const TaskAnswer& answer) const {
  EDGELLM_ASSIGN_OR_RETURN(const std::string prompt, required_text(item.source, {"prompt"}));
  EDGELLM_ASSIGN_OR_RETURN(const std::string entry_point, required_text(item.source, {"entry_point"}));
  EDGELLM_ASSIGN_OR_RETURN(const std::string test, required_text(item.source, {"test"}));
  const std::string program =
      python_program(prompt, entry_point, answer.text) + "\n" + test + "\ncheck(" + entry_point + ")\n";
  EDGELLM_ASSIGN_OR_RETURN(const SandboxOutcome outcome, sandbox_.run({wrapped(program), limits_}));
  const bool passed = outcome.exited_cleanly() && outcome.output_tail.find(kPassed) != std::string::npos;
  ItemScore score;
  score.figures["pass@1"] = passed;
  score.details["program"] = program;
  score.details["outcome"] = passed ? "passed" : describe(outcome, limits_);
  if (!passed) score.details["output"] = outcome.output_tail;
  return score;
}

nlohmann::json HumanEvalTask::settings() const {
  return {{"prompt", kPrompt},
          {"max_tokens", kMostTokens},
          {"sandbox", sandbox_.description()},
          {"cpu_time_ms", limits_.cpu_time.count()},
          {"wall_time_ms", limits_.wall_time.count()},
          {"n_memory_bytes", limits_.n_memory_bytes},
          {"n_processes", limits_.n_processes}};
}

}  // namespace edgellm
