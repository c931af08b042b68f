// HumanEval (M. Chen et al., "Evaluating Large Language Models Trained on Code", arXiv 2107.03374): complete
// a Python function; the program passes when its tests do. Records as in the official file: task_id, prompt,
// entry_point, canonical_solution, test.
#pragma once

#include "evaluate/sandbox/sandbox.h"
#include "evaluate/tasks/task.h"

namespace edgellm {

class HumanEvalTask : public Task {
 public:
  explicit HumanEvalTask(Sandbox sandbox, SandboxLimits limits = default_limits());

  // The official program gives 3 s of wall time; here the cores are shared with a model, so CPU time decides.
  static SandboxLimits default_limits();

  std::string_view name() const override { return "humaneval"; }
  Result<TaskItems> read(const std::filesystem::path& path, size_t n_most) const override;
  // Runs the program: figure "pass@1", details "program" and "outcome".
  Result<ItemScore> score(const TaskItem& item, const TaskAnswer& answer) const override;
  nlohmann::json settings() const override;

 private:
  Sandbox sandbox_;
  SandboxLimits limits_;
};

}  // namespace edgellm
