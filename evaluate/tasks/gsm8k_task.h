// GSM8K (K. Cobbe et al., "Training Verifiers to Solve Math Word Problems", arXiv 2110.14168): grade-school
// problems whose worked answers end with "#### number". Exact match of that number; no examples are shown.
#pragma once

#include <optional>

#include "evaluate/tasks/task.h"

namespace edgellm {

class Gsm8kTask : public Task {
 public:
  std::string_view name() const override { return "gsm8k"; }
  Result<TaskItems> read(const std::filesystem::path& path, size_t n_most) const override;
  Result<ItemScore> score(const TaskItem& item, const TaskAnswer& answer) const override;
  nlohmann::json settings() const override;
};

// The number a worked answer ends with: the first after the last "####" that has one, otherwise the last
// number. Normalised so that equal numbers are equal texts: "$1,000.50" is "1000.5", "18.00" is "18", "-0" is
// "0". A minus counts where no digit, letter or closing bracket stands before it; commas count in groups of
// three.
std::optional<std::string> final_number(std::string_view answer);

}  // namespace edgellm
