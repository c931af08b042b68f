#include "evaluate/tasks/instruction_task.h"

#include <fmt/format.h>
#include <set>

#include "evaluate/tasks/item_fields.h"
#include "evaluate/tasks/item_reader.h"

namespace edgellm {
namespace {

constexpr size_t kMostTokens = 256;

Result<TaskItem> item_of(const std::string& instruction, const nlohmann::json& instance) {
  TaskItem item;
  EDGELLM_ASSIGN_OR_RETURN(const std::string input, optional_text(instance, {"input", "context"}));
  EDGELLM_ASSIGN_OR_RETURN(
      item.reference, required_text(instance, {"output", "response", "reference", "completion", "answer"}));
  item.prompt = input.empty() ? instruction : instruction + "\n\n" + input;
  item.max_tokens = kMostTokens;
  return item;
}

Result<std::vector<TaskItem>> items_of(const nlohmann::json& record) {
  EDGELLM_ASSIGN_OR_RETURN(const std::string instruction,
                           required_text(record, {"instruction", "prompt", "question"}));
  std::vector<TaskItem> items;
  const auto instances = record.find("instances");
  if (instances == record.end()) {
    EDGELLM_ASSIGN_OR_RETURN(TaskItem item, item_of(instruction, record));
    items.push_back(std::move(item));
    return items;
  }
  if (!instances->is_array() || instances->empty())
    return Error{"wanted a list of inputs and outputs under 'instances', got none"};
  for (const nlohmann::json& instance : *instances) {
    if (!instance.is_object()) return Error{"wanted objects under 'instances', got something else"};
    EDGELLM_ASSIGN_OR_RETURN(TaskItem item, item_of(instruction, instance));
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace

Result<TaskItems> InstructionTask::read(const std::filesystem::path& path, size_t n_most) const {
  std::set<std::string> ids;
  const auto make = [&](const nlohmann::json& record, size_t line, std::vector<TaskItem>& items) -> Status {
    EDGELLM_ASSIGN_OR_RETURN(std::vector<TaskItem> made, items_of(record));
    std::string id = record_id(record, line);
    if (ids.count(id)) id += fmt::format(" (line {})", line);
    ids.insert(id);
    for (size_t i = 0; i < made.size(); ++i) {
      made[i].id = i == 0 ? id : fmt::format("{} #{}", id, i + 1);
      items.push_back(std::move(made[i]));
    }
    return {};
  };
  return read_items(read_json_lines, path, n_most, make);
}

Result<ItemScore> InstructionTask::score(const TaskItem&, const TaskAnswer&) const {
  return ItemScore{{}, nlohmann::json::object()};
}

nlohmann::json InstructionTask::settings() const {
  return {{"prompt", "{instruction}\n\n{input}"}, {"max_tokens", kMostTokens}};
}

}  // namespace edgellm
