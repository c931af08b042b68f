// Instructions with reference answers, for the metrics that compare texts. Records are JSON objects in one of
// the forms instruction data comes in:
//   self-instruct   instruction, instances: [{input, output}, ...]: an item an instance
//   others          instruction | prompt | question, optional input | context, output | response | reference
//   |
//                   completion | answer
#pragma once

#include "evaluate/tasks/task.h"

namespace edgellm {

class InstructionTask : public Task {
 public:
  std::string_view name() const override { return "instructions"; }
  Result<TaskItems> read(const std::filesystem::path& path, size_t n_most) const override;
  Result<ItemScore> score(const TaskItem& item, const TaskAnswer& answer) const override;
  nlohmann::json settings() const override;
};

}  // namespace edgellm
