#include "evaluate/tasks/task.h"

#include <array>
#include <cassert>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "evaluate/tasks/ag_news_task.h"
#include "evaluate/tasks/gsm8k_task.h"
#include "evaluate/tasks/humaneval_task.h"
#include "evaluate/tasks/instruction_task.h"

namespace edgellm {

std::vector<std::string_view> task_names() {
  return {"instructions", "ag_news", "ag_news_generation", "gsm8k", "humaneval"};
}

Result<std::unique_ptr<Task>> open_task(std::string_view name) {
  using Pointer = std::unique_ptr<Task>;
  if (name == "instructions") return Pointer(std::make_unique<InstructionTask>());
  if (name == "ag_news") return Pointer(std::make_unique<AgNewsTask>(AgNewsTask::Mode::kLikelihood));
  if (name == "ag_news_generation")
    return Pointer(std::make_unique<AgNewsTask>(AgNewsTask::Mode::kGeneration));
  if (name == "gsm8k") return Pointer(std::make_unique<Gsm8kTask>());
  if (name == "humaneval") {
    EDGELLM_ASSIGN_OR_RETURN(Sandbox sandbox, Sandbox::open());
    return Pointer(std::make_unique<HumanEvalTask>(std::move(sandbox)));
  }
  return Error{fmt::format("task: wanted one of {}, got '{}'", fmt::join(task_names(), ", "), name)};
}

std::map<std::string, FigureSummary> summarize(std::span<const std::map<std::string, double>> figures) {
  std::map<std::string, FigureSummary> summaries;
  for (const auto& item : figures) {
    for (const auto& [name, value] : item) {
      FigureSummary& summary = summaries[name];
      ++summary.n_items;
      summary.mean += value;
    }
  }
  std::map<std::string, double> squares;
  for (auto& [name, summary] : summaries) summary.mean /= static_cast<double>(summary.n_items);
  for (const auto& item : figures) {
    for (const auto& [name, value] : item) squares[name] += std::pow(value - summaries[name].mean, 2);
  }
  for (auto& [name, summary] : summaries) {
    const auto n = static_cast<double>(summary.n_items);
    if (summary.n_items > 1) summary.standard_error = std::sqrt(squares[name] / (n - 1) / n);
  }
  return summaries;
}

double pass_at_k(size_t n_samples, size_t n_passed, size_t k) {
  assert(k >= 1 && k <= n_samples && n_passed <= n_samples);
  const size_t n_failed = n_samples - n_passed;
  if (n_failed < k) return 1;
  // C(n - c, k) / C(n, k) as a product, since the binomials overflow.
  double all_fail = 1;
  for (size_t i = n_failed + 1; i <= n_samples; ++i)
    all_fail *= 1 - static_cast<double>(k) / static_cast<double>(i);
  return 1 - all_fail;
}

}  // namespace edgellm
